"""Which files and folders are images and the user's, told by their names."""

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
ENDINGS = (*_JPEG, ".png", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
# What operating systems and storage boxes leave behind, in lower case; hidden names are left out anyway.
SYSTEM_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"})


def is_image(name: str) -> bool:
    """Tell by its name whether a file is an image; hidden files, as macOS leaves beside images, are none."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def is_ours(folder: str) -> bool:
    """Tell by its name whether a folder is the user's, neither hidden nor of the system."""
    return not folder.startswith(".") and folder.lower() not in SYSTEM_FOLDERS
