"""Stand-ins for the interfaces of other projects: scikit-learn's estimators and the textbook's networks."""
