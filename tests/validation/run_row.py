"""One raw row of a measured run, with what its family states filled in from families.csv.

An entry of families.csv holds for families of rows: the one whose `families` is the longest prefix
of the row's family. Its columns are those of the table of runs, and more.
"""

import csv
import math
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, '..', '..', 'strategies', 'models')

# How tables of runs say that something is not known.
NOT_STATED = ('not stated', 'not decoded', 'n/a', 'see ', 'per models/', 'base-recipe default',
              'not stored', '(assumed)', 'split not stated', 'fsdp+dp (split not stated)')
# Columns of training_runs_one_node.csv under the names of training_runs.csv.
OTHER_NAMES = {'chips': 'gpus'}
COUNTS = ('chips', 'layers', 'hidden', 'ffn', 'heads', 'kv_heads', 'head_dim', 'vocab', 'experts',
          'topk', 'moe_ffn', 'shared_experts', 'dense_layers', 'mtp_layers', 'seq', 'gbs', 'mbs',
          'tp', 'pp', 'vp', 'cp', 'ep', 'dp')
MEASURED = ('iter_time_s', 'tflops_per_chip', 'mfu_pct', 'tokens_per_s_per_chip')
MOST = 1 << 30


class NotExpressed(Exception):
    """Why a row has no scenario."""


def read_table(name):
    path = name if os.path.exists(name) else os.path.join(HERE, name)
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def number_in(text, pattern):
    """The number that the pattern's group finds; 0 if there is none."""
    match = re.search(pattern, text)
    return int(match[1]) if match else 0


def _number(text):
    try:
        return float(text)
    except ValueError:
        return math.nan


FAMILIES = read_table('families.csv')


def _family_entry(family):
    best, longest = {}, 0
    for entry in FAMILIES:
        prefix = entry['families']
        length = 1 if prefix == '*' else len(prefix) + 1
        if (prefix == '*' or family.startswith(prefix)) and length > longest:
            best, longest = entry, length
    return best


class RunRow:
    def __init__(self, cells):
        self.cells = cells
        # "vtrain-single-0001" is of the family "vtrain-single".
        name = cells.get('id', '')
        self.family = cells.get('family') or re.sub('-[0-9]*$', '', name)
        self.entry = _family_entry(self.family)

    def stated(self, column):
        """What the row states; "" if it says that it does not ("not stated", "see recipe")."""
        value = self.cells.get(column) or self.cells.get(OTHER_NAMES.get(column, column)) or ''
        return '' if value.lower().startswith(NOT_STATED) else value

    def default(self, column):
        return self.entry.get(column) or ''

    def get(self, column):
        return self.stated(column) or self.default(column)

    def for_model(self, column):
        """get(column), of which "5B: a; 175B: b" is what a family does for each of its models."""
        text = self.get(column)
        for piece in text.split(';'):
            name, _, rest = piece.partition(':')
            if rest and self.says('model', ' ' + name.strip() + ' '):
                return rest.strip()
        return text

    def number(self, column, unset=0):
        value = _number(self.get(column))
        return value if math.isfinite(value) and value > 0 else unset

    def count(self, column, unset=0):
        value = self.number(column)
        return int(value) if 1 <= value <= MOST and value == int(value) else unset

    def flag(self, column):
        return self.get(column) == '1'

    def _preset(self):
        name = self.get('model')
        if self.count('layers') > 0 or not re.fullmatch('[a-z0-9.-]+', name):
            return None
        return os.path.join(MODELS, name + '.textproto')

    def has_preset(self):
        """The row gives no dimensions and its model is a file of strategies/models."""
        path = self._preset()
        return path is not None and os.path.exists(path)

    def has_experts(self):
        if not self.has_preset():
            return self.count('experts') > 1
        with open(self._preset(), encoding='utf-8') as file:
            return re.search(r'^moe \{', file.read(), re.M) is not None

    def says(self, column, words):
        return words.lower() in self.get(column).lower()

    def check_numbers(self):
        """NotExpressed names every column of numbers that holds something else."""
        problems = []
        for column in COUNTS + MEASURED:
            text, whole = self.stated(column), column in COUNTS
            value = _number(text)
            good = math.isfinite(value) and value >= 0 and (
                not whole or (value <= MOST and value == int(value)))
            if text and not good:
                problems.append('%s is "%s", expected a %snumber of 0%s' % (
                    column, text[:32], 'whole ' if whole else '', ' to 2^30' if whole else ' or more'))
        if problems:
            raise NotExpressed('; '.join(problems))
