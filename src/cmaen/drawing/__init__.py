"""Everything that draws: faces on images and videos, charts, heat maps, and small images for notebooks."""
