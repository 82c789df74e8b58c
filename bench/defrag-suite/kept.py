"""Pieces of a long measurement, kept as they are done, so that a run that ended goes on."""

import datetime
import json
import os


class State:
    """A file for each piece that is done: its rows, and what they are of. Those of other settings do not count. settings and rows are what JSON gives back."""

    def __init__(self, directory, settings):
        self.directory, self.settings = directory, settings
        os.makedirs(directory, exist_ok=True)

    def path(self, name):
        return os.path.join(self.directory, "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in name) + ".json")

    def rows(self, name):
        """None: it is not done."""
        try:
            with open(self.path(name)) as file:
                kept = json.load(file)
        except FileNotFoundError:
            return None
        return kept["rows"] if kept["settings"] == self.settings else None

    def keep(self, name, rows):
        fresh = self.path(name) + ".new"
        with open(fresh, "w") as file:
            json.dump({"piece": name, "settings": self.settings, "load": os.getloadavg(), "date": str(datetime.date.today()), "rows": rows}, file)
        os.replace(fresh, self.path(name))
