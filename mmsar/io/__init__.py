"""Files: scans and images as HDF5 (`scan_h5`, `image_h5`), foreign raw data in (`importers`), images out (`export`)."""
