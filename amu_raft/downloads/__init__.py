"""Files from the network: fetched whole or not at all, compared with what is known of them, unpacked safely.

Nothing here knows what the files are for. ``amu_raft.downloads.sources.fetch_any`` is the way in for a file,
``amu_raft.downloads.archives.unpack`` for an archive.
"""
