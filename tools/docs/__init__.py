"""What the documentation is made with: its code is run, and its drawings are made."""
