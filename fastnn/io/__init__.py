"""Read and write fastnn's files, one module for each kind."""
