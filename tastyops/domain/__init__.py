"""What several actions share: RAID, storage, booting."""
