// The command line: meshstep COMMAND ...

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <limits>
#include <new>
#include <string>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/escape.h"
#include "sim/base/nearest.h"
#include "sim/base/version.h"
#include "sim/cli/commands.h"
#include "sim/cli/search_command.h"

namespace meshstep {
namespace {

// Thrown by Fail() and caught in main(): a command can stop anywhere below its callback.
struct CommandFailed {
  int code;
};

int exit_code = kExitDone;

}  // namespace

void AddFormatOption(CLI::App* command, OutputFormat* format) {
  command
      ->add_option_function<std::string>(
          "--format",
          [format](const std::string& name) {
            *format = name == "json"        ? OutputFormat::kJson
                      : name == "textproto" ? OutputFormat::kTextproto
                      : name == "binary"    ? OutputFormat::kBinary
                                            : OutputFormat::kText;
          },
          "text (default), json, textproto or binary")
      ->check(CLI::IsMember({"text", "json", "textproto", "binary"}));
}

void Print(const std::string& text) {
  errno = 0;
  std::cout.write(text.data(), static_cast<std::streamsize>(text.size()));
  std::cout.flush();
  if (!std::cout) {
    // Whoever reads has enough, as head: no fault of anybody.
    if (errno == EPIPE) return;
    std::cerr << "standard output: cannot be written\n";
    throw CommandFailed{kExitInput};
  }
}

void Fail(const Status& status) {
  std::cerr << EscapeLines(std::string(status.message())) << "\n";
  throw CommandFailed{status.code() == absl::StatusCode::kInternal ? kExitInternal : kExitInput};
}

void SetExitCode(int code) { exit_code = code; }

// Ends with the nearest commands if the first word is none of them.
void CheckCommand(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  const std::string word = argv[1];
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (command->get_name() == word) return;
    names.push_back(command->get_name());
  }
  Fail(InvalidInput(absl::StrCat("meshstep has no command \"", word.substr(0, 64), "\"; nearest: ",
                                 absl::StrJoin(NearestNames(word.substr(0, 64), names, 3), ", "),
                                 "; meshstep --help lists them")));
}

int Main(int argc, char** argv) {
  CLI::App app(
      "meshstep: how long one training step takes, where the time goes, and whether it fits");
  app.require_subcommand(1);
  app.set_version_flag("--version", "meshstep " + std::string(Version()));
  AddSimulateCommand(&app);
  AddCompareCommand(&app);
  AddSweepCommand(&app);
  AddSearchCommand(&app);
  AddMergeCommand(&app);
  AddCollectiveCommand(&app);
  AddValidateCommand(&app);
  AddCalibrateCommand(&app);
  AddEinsumCommand(&app);
  AddImportCommand(&app);
  AddCheckCommand(&app);
  AddSensitivityCommand(&app);
  AddListCommand(&app);
  AddShowCommand(&app);
  AddModelCommand(&app);
  AddRooflineCommand(&app);
  AddBudgetCommand(&app);
  try {
    CheckCommand(app, argc, argv);
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    app.exit(e, std::cerr, std::cerr);
    return kExitInput;
  } catch (const CommandFailed& failed) {
    return failed.code;
  } catch (const std::bad_alloc&) {
    std::cerr << "out of memory: the input needs more than this process is given\n";
    return kExitInput;
  } catch (const std::exception& e) {
    std::cerr << "internal error: " << e.what() << "\n";
    return kExitInternal;
  }
  return exit_code;
}

}  // namespace meshstep

int main(int argc, char** argv) {
#ifdef __GLIBC__
  // Steps of 100 MB and more follow each other: what one has used is kept for the next, whichever
  // thread runs it, and not given back to the system page by page.
  mallopt(M_MMAP_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_ARENA_MAX, 1);
#endif
  // A pipe that is closed early ends no command: its files are still written.
  std::signal(SIGPIPE, SIG_IGN);
  return meshstep::Main(argc, argv);
}
