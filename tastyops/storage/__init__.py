"""What several actions on volumes and filesystems share, as generators they delegate to."""
