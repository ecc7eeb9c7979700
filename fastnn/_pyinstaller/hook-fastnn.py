"""PyInstaller's hook for fastnn: the data files, and the modules that are imported by name."""

from PyInstaller.utils.hooks import collect_data_files

datas = collect_data_files("fastnn")
hiddenimports = ["fastnn.plots", "fastnn.reference"]
