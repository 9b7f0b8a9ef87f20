"""Files from the network: fetched whole or not at all, compared with what is known of them, unpacked safely.

Nothing here knows what the files are for. ``downloads.sources.fetch_any`` is the way in for a file,
``downloads.archives.unpack`` for an archive.
"""
