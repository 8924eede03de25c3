"""CondNet: slices of T1 and T2 to slices of conductivity, one network per axis."""
