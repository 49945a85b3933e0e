"""What breaks in use, tried many times: files, processes, disks, strangers and threads."""
