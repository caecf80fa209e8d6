"""Asks meshstep every exercise of answers.tsv and compares with exercises.json.

Usage: answers_test.py PROGRAM SOURCE_FOLDER

Each line of answers.tsv is: exercise, quantity, command, field of its JSON ("a.b", "list[name=x].b",
"list[0].b", and "a.b / 1e9" for another unit). A command of "-" says that the quantity cannot be asked, and why. Every quantity of every
exercise but those of kind sharded-matmul (tests/exercises/run.cc) has a line.
"""

import concurrent.futures
import json
import pathlib
import re
import shlex
import subprocess
import sys


def read_rows(path):
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith('#'):
            continue
        cells = line.split('\t')
        if len(cells) != 4:
            sys.exit(f'{path}:{number}: has {len(cells)} columns, expected 4')
        rows.append(cells)
    return rows


def field(value, path):
    path, _, unit = path.partition(' / ')
    if unit:
        return field(value, path) / float(unit)
    for part in path.split('.'):
        match = re.fullmatch(r'(\w+)(?:\[(?:(\w+)=)?([^]]*)\])?', part)
        value = value[match[1]]
        if match[3] is not None and match[2]:
            value = next(item for item in value if item[match[2]] == match[3])
        elif match[3] is not None:
            value = value[int(match[3])]
    return value


def ask(program, command):
    words = shlex.split(command)
    if words[0] != 'meshstep':
        return None, 'the command is not meshstep'
    result = subprocess.run([program, *words[1:], '--format=json'], capture_output=True, text=True,
                            check=False)
    if result.returncode != 0:
        return None, f'exit status {result.returncode}: {result.stderr.strip()}'
    return json.loads(result.stdout), ''


def agrees(value, quantity):
    expected = quantity['value']
    if value is None:
        return False
    if isinstance(expected, (bool, str, list)):
        return value == expected
    return abs(value - expected) <= quantity['rtol'] * abs(expected)


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    folder = source / 'tests/exercises'
    exercises = {e['id']: e for e in json.loads((folder / 'exercises.json').read_text())}
    rows = read_rows(folder / 'answers.tsv')
    commands = sorted({row[2] for row in rows if row[2] != '-'})
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = dict(zip(commands, pool.map(lambda c: ask(program, c), commands)))

    problems, right, listed = [], 0, set()
    for exercise, name, command, path in rows:
        listed.add((exercise, name))
        if command == '-':
            continue
        message, problem = answers[command]
        if problem:
            problems.append(f'{exercise} {name}: {command}: {problem}')
            continue
        try:
            value = field(message, path)
        except (KeyError, StopIteration, IndexError, TypeError):
            problems.append(f'{exercise} {name}: {command}: has no field {path}')
            continue
        quantity = exercises[exercise]['answer']['quantities'][name]
        if agrees(value, quantity):
            right += 1
        else:
            problems.append(f'{exercise} {name}: {value}, expected {quantity["value"]}: {command}')

    asked = [e for e in exercises.values() if e['kind'] != 'sharded-matmul']
    for exercise in asked:
        for name in exercise['answer']['quantities']:
            if not {(exercise['id'], name), (exercise['id'], '*')} & listed:
                problems.append(f'{exercise["id"]} {name}: has no line in answers.tsv')
    answered = {row[0] for row in rows if row[2] != '-'}
    print(f'{right} quantities of {len(answered)} of {len(asked)} exercises answered')
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
