"""Hours of ordinary traffic in short: does the service hold more at the end than it did after its warm-up?"""
