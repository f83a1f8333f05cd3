"""`steersman bench`: does a strategy help, and what does it cost runs that were well?"""
