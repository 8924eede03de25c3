"""Head models: tetrahedral meshes of labelled heads, and electrodes on them."""
