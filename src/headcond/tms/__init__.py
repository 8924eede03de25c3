"""TMS fields: coils, their placement, and scalar-potential finite differences."""
