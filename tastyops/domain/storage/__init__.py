"""What several actions on disks, volumes and filesystems share: checks, and generators."""
