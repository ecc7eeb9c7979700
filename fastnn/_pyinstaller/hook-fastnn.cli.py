"""PyInstaller's hook for the command line: one module for each command, imported when it runs."""

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = collect_submodules("fastnn.cli")
