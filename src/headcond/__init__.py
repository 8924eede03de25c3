"""headcond: each person's head gets its own electrical conductivity.

Two methods share one pipeline: MRI to conductivity to TMS field (CondNet), and EIT
voltages to conductivity (ROM-pEIT). Research use only; not a medical device.
"""

__version__ = "0.1.0"
