"""The console: pages for HQ's people, whole without scripts; a small module keeps them fresh where scripts run."""
