"""Audited traffic, scored again: what would another version have decided, and may it take over?"""
