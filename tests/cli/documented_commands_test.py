"""Every command that the README shows and every example of --help does what it is shown for.

    documented_commands_test.py PROGRAM SOURCE_FOLDER

Commands with a word in capitals (FILE, NAME, COMMAND) are patterns, not commands.
"""

import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
ROOT = pathlib.Path(sys.argv[2]).resolve()
# Takes half a minute; other tests run it.
ELSEWHERE = {'meshstep validate', 'meshstep validate examples/validation/training_runs.csv'}
READ = re.compile(r'(?<!--out=)(?<!--output=)(?<!--html=)(?<![\w./-])([\w./-]+\.(?:csv|log|json))\b')
PATTERN = re.compile(r'(^|[\s=/])[A-Z][A-Z_]+(\.csv|\.html|\.json)?([\s=,]|$)')


def commands_of_readme():
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    blocks = ''.join(re.findall(r'```(?:console|sh)\n(.*?)```', text, re.DOTALL))
    lines = blocks.replace('\\\n', ' ').splitlines()
    shown = [line.removeprefix('$ ').split('#')[0] for line in lines]
    inline = re.findall(r'`(meshstep [^`]+)`', text)
    return [' '.join(c.split()) for c in shown + inline if c.startswith('meshstep ')]


def shown_in_readme():
    """Command -> the lines of its output that the README shows below it; "..." stands for others."""
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    shown = {}
    for block in re.findall(r'```console\n(.*?)```', text, re.DOTALL):
        lines = None
        for line in block.replace('\\\n', ' ').splitlines():
            if line.startswith('$ '):
                lines = shown.setdefault(' '.join(line.removeprefix('$ ').split()), [])
            elif line.strip() not in ('', '...'):
                lines.append(line)
    return {command: lines for command, lines in shown.items() if lines}


def files_of_readme():
    """Name -> content of blocks that begin with the name of their file as a comment."""
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    return {name: body for name, body in
            re.findall(r'```textproto\n# (\S+\.textproto)\n(.*?)```', text, re.DOTALL)}


def help_of(*words):
    done = subprocess.run([PROGRAM, *words, '--help'], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def subcommands(*words):
    listed = help_of(*words).partition('ubcommands:')[2]
    return re.findall(r'^  ([a-z][a-z-]*)(?: |$)', listed, re.MULTILINE)


def commands_of_help(*words):
    found = []
    for name in subcommands(*words):
        text = help_of(*words, name).replace('\\\n', ' ')
        found += re.findall(r'^ +(meshstep .*)$', text, re.MULTILINE)
        found += commands_of_help(*words, name)
    return [' '.join(c.split()) for c in found]


class DocumentedCommandsTest(unittest.TestCase):

    def run_all(self, commands):
        ran = 0
        with tempfile.TemporaryDirectory() as folder:
            # What a person has at hand.
            shutil.copy(ROOT / 'examples/validation/fresh_runs.csv', folder + '/my_runs.csv')
            for name, body in files_of_readme().items():
                pathlib.Path(folder, name).write_text(body, encoding='utf-8')
            for command in dict.fromkeys(commands):
                if command in ELSEWHERE or PATTERN.search(command):
                    continue
                # Tests of the command make the logs and tables that it reads.
                if not all((ROOT / name).exists() or pathlib.Path(folder, name).exists()
                           for name in READ.findall(command)):
                    continue
                ran += 1
                with self.subTest(command):
                    words = [str(ROOT / w) if w.startswith('examples/') else w
                             for w in shlex.split(command)[1:]]
                    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True,
                                          cwd=folder, timeout=300)
                    # `check` says by 3 that a plan does not fit.
                    allowed = (0, 3) if words[0] == 'check' else (0,)
                    self.assertIn(done.returncode, allowed, command + '\n' + done.stderr)
                    self.assertTrue(done.stdout.strip())
        return ran

    def test_readme(self):
        # What the README shows the output of runs below.
        shown = shown_in_readme()
        self.assertGreater(self.run_all(c for c in commands_of_readme() if c not in shown), 4)

    def test_readme_shows_what_is_printed(self):
        shown = shown_in_readme()
        self.assertGreater(len(shown), 1)
        with tempfile.TemporaryDirectory() as folder:
            for name, body in files_of_readme().items():
                pathlib.Path(folder, name).write_text(body, encoding='utf-8')
            for command, lines in shown.items():
                with self.subTest(command):
                    done = subprocess.run([PROGRAM, *shlex.split(command)[1:]],
                                          capture_output=True, text=True, cwd=folder, timeout=300)
                    printed = done.stdout.splitlines()
                    missing = [line for line in lines if line not in printed]
                    self.assertEqual(missing, [], done.stdout)

    def test_help(self):
        self.assertGreater(self.run_all(commands_of_help()), 10)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
