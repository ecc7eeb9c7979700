"""The files that fastnn reads and writes, one module for each kind."""
