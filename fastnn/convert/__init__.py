"""Convert models of other libraries to descriptions (`fastnn.io.model_file.SavedModel`), and back."""
