"""Pictures of images; the only home of plotting libraries."""
