"""Faults in use, tried many times: files, processes, disks, archives and threads."""
