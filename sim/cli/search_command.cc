// meshstep search: the best plans of a space, exactly; meshstep merge: its parts as one.

#include "sim/cli/search_command.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/repeated_field.h"
#include "sim/advice/search/assemble.h"
#include "sim/advice/search/search.h"
#include "sim/advice/search/search_file.h"
#include "sim/advice/search/search_output.h"
#include "sim/advice/search/slurm.h"
#include "sim/base/format.h"
#include "sim/base/number.h"
#include "sim/base/set_field.h"
#include "sim/cli/commands.h"
#include "sim/cli/progress.h"
#include "sim/cli/scenario_input.h"
#include "sim/report/html/html.h"
#include "sim/report/output_file.h"

namespace meshstep {
namespace {

// Set by Ctrl-C; a second one ends the program.
std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);
void Interrupt(int signal) {
  interrupted = true;
  std::signal(signal, SIG_DFL);
}

// How the answer is written.
struct Writing {
  std::string format = "text";
  std::string winner;  // path; empty: none
};

struct Options {
  Catalog catalog;
  ScenarioOptions scenarios;
  SimulateOptions simulate;
  SearchOptions search;
  Objective objective;
  Writing writing;
  std::vector<std::string> vary, fix;
  std::string shard, out, emit, max_memory;
  int shards = 64;
};

constexpr int kRecordVersion = 2;  // of v1::SearchRecord

constexpr char kHead[] =
    "# proto-file: meshstep/v1/scenario.proto\n# proto-message: meshstep.v1.Scenario\n\n";

std::string Written(const v1::SearchReport& report, const Cells& base, const std::string& format) {
  if (format == "text") return SearchToText(report);
  if (format == "csv") return SearchToCsv(report, base);
  if (format == "html") {
    return HtmlPage(absl::StrCat("Best plans of ", report.scenario()), SearchToHtml(report));
  }
  return Serialize(report, format == "json"        ? OutputFormat::kJson
                           : format == "textproto" ? OutputFormat::kTextproto
                                                   : OutputFormat::kBinary);
}

// Prints the report, and writes the winner's scenario where that is asked for.
void WriteSearch(const v1::SearchReport& report, const Cells& base, const Writing& writing) {
  Status written;  // told after the report, which a full disk must not cost
  if (!writing.winner.empty() && report.best_size() > 0) {
    written = WriteFile("--winner", writing.winner,
                        kHead + Serialize(report.best(0).scenario(), OutputFormat::kTextproto));
  }
  Print(Written(report, base, writing.format));
  if (!written.ok()) Fail(written);
}

void AddWriting(CLI::App* command, Writing* writing) {
  command
      ->add_option("--format", writing->format,
                   "text (default), csv, html, json, textproto or binary")
      ->check(CLI::IsMember({"text", "csv", "html", "json", "textproto", "binary"}));
  command->add_option("--winner", writing->winner,
                      "Also write the best plan as a scenario: FILE.textproto");
}

StatusOr<v1::SearchHeader> HeaderOf(const Options& options, const SearchOptions& search,
                                    const PlanSpace& space) {
  v1::SearchHeader header;
  header.set_digest(space.digest());
  header.set_version(kRecordVersion);
  header.set_shard(search.shard);
  header.set_shards(search.shards);
  *header.mutable_scenario() = space.original();
  for (const std::vector<std::string>* list : {&options.vary, &options.fix}) {
    for (const std::string& vary : *list) header.add_vary(vary);
  }
  header.set_ideal(search.fidelity == Fidelity::kIdeal);
  header.set_top(search.top);
  header.set_max_memory_bytes(search.max_memory_bytes);
  header.set_allow_tight(search.allow_tight);
  header.set_objective(options.objective.name);
  const std::optional<double> price = options.objective.PriceOf(space.loaded().cluster.chip.name);
  if (price) header.set_price(*price);
  return header;
}

// The line that shows how far it is.
std::string Line(const SearchProgress& p, const PlanSpace& space, double seconds) {
  const std::string best = p.best_ps > 0 ? FormatSeconds(Time(p.best_ps).seconds()) : "none yet";
  if (p.rest_ps == 0) {
    const double part = static_cast<double>(p.seen) / static_cast<double>(space.size());
    return absl::StrCat(ProgressBar(part), " ", FormatCount(p.seen), " of ",
                        FormatCount(space.size()), " plans counted; best ", best);
  }
  // The bound of the rest climbs to the last of the best.
  const double part =
      p.last_ps > 0 ? static_cast<double>(p.rest_ps) / static_cast<double>(p.last_ps) : 0;
  return absl::StrCat(ProgressBar(part), " ", FormatCount(p.bounded), " bounded, ",
                      FormatCount(p.simulated), " simulated, ",
                      FormatNumber(static_cast<double>(p.simulated) / seconds, 2), "/s; best ",
                      best, ", rest at least ", FormatSeconds(Time(p.rest_ps).seconds()));
}

Status SetShard(const Options& options, SearchOptions* search) {
  if (options.shard.empty()) return absl::OkStatus();
  if (options.out.empty()) return InvalidInput("--shard: needs --out=DIR, which merge reads");
  if (options.shard == "slurm") {
    return ShardOfSlurm(std::getenv("SLURM_ARRAY_TASK_ID"), std::getenv("SLURM_ARRAY_TASK_MIN"),
                        std::getenv("SLURM_ARRAY_TASK_COUNT"), &search->shard, &search->shards);
  }
  const std::size_t slash = options.shard.find('/');
  const bool ok = slash != std::string::npos &&
                  absl::SimpleAtoi(options.shard.substr(0, slash), &search->shard) &&
                  absl::SimpleAtoi(options.shard.substr(slash + 1), &search->shards) &&
                  search->shards >= 1 && search->shards <= 100000 && search->shard >= 0 &&
                  search->shard < search->shards;
  if (!ok) {
    return InvalidInput(absl::StrCat("--shard: is \"", options.shard.substr(0, 64),
                                     "\", expected i/n with i from 0 to n - 1, or slurm"));
  }
  return absl::OkStatus();
}

StatusOr<std::vector<Vary>> VariedBy(const Options& options) {
  std::vector<Vary> varied;
  for (const std::vector<std::string>* list : {&options.vary, &options.fix}) {
    for (const std::string& text : *list) {
      ASSIGN_OR_RETURN(Vary vary, ParseVary(text));
      if (list == &options.fix && vary.path != "plan.order" && vary.values.size() != 1) {
        return InvalidInput(absl::StrCat("--fix ", text, ": expected PATH=VALUE"));
      }
      varied.push_back(std::move(vary));
    }
  }
  return varied;
}

Cells BaseCells(const v1::Scenario& scenario) {
  Cells cells = FieldCells(scenario);
  std::erase_if(cells, [](const auto& cell) { return cell.first == "name"; });
  return cells;
}

// The search itself; a file if there is a folder for it, or Ctrl-C leaves one.
StatusOr<Searched> RunShard(const Options& options, const std::string& out, SearchOptions search,
                            const PlanSpace& space) {
  Progress progress;
  search.progress = [&](const SearchProgress& p) {
    progress.Show([&] { return Line(p, space, progress.seconds()); });
  };
  ASSIGN_OR_RETURN(const v1::SearchHeader header, HeaderOf(options, search, space));
  std::unique_ptr<SearchFile> file;
  if (!out.empty()) {
    ASSIGN_OR_RETURN(file, SearchFile::Open(out, header));
  }
  StatusOr<Searched> searched = Search(space, search, file.get());
  if (!searched.ok() || searched->done) return searched;
  std::string folder = out;
  if (file == nullptr) {
    folder = absl::StrCat("meshstep-search-", space.digest());
    ASSIGN_OR_RETURN(file, SearchFile::Open(folder, header));
    for (const Evaluated& plan : searched->plans) RETURN_IF_ERROR(file->Append(ToRecord(plan)));
  }
  std::cerr << "stopped; the same command with --out=" << folder << " goes on from here\n";
  return searched;
}

bool IsOfCluster(const Vary& vary) { return vary.path.starts_with("cluster."); }

// Assignments of every combination of the values, the last one varying first.
std::vector<std::vector<std::string>> Combinations(std::span<const Vary> varied) {
  std::vector<std::vector<std::string>> all(1);
  for (const Vary& vary : varied) {
    std::vector<std::vector<std::string>> longer;
    for (const std::vector<std::string>& sets : all) {
      for (const std::string& value : vary.values) {
        longer.push_back(sets);
        longer.back().push_back(absl::StrCat(vary.path, "=", value));
      }
    }
    all = std::move(longer);
  }
  return all;
}

// One search after another, each of one cluster; their best as one list.
Status SearchClusters(const Options& options, const SearchOptions& search,
                      const v1::Scenario& scenario, std::span<const Vary> clusters,
                      std::span<const Vary> plans) {
  if (search.shards > 1) {
    return InvalidInput("--shard: a search in parts is of one cluster; vary it by --set");
  }
  std::vector<v1::SearchReport> reports;
  for (const std::vector<std::string>& sets : Combinations(clusters)) {
    v1::Scenario own = scenario;
    for (const std::string& set : sets) RETURN_IF_ERROR(SetField(set, &own));
    ASSIGN_OR_RETURN(const PlanSpace space,
                     PlanSpace::Make(own, plans, options.catalog, search.fidelity));
    const std::string folder =
        options.out.empty() ? "" : absl::StrCat(options.out, "/", space.digest());
    ASSIGN_OR_RETURN(const Searched searched, RunShard(options, folder, search, space));
    v1::SearchReport report = Assemble(space, searched, search, options.objective);
    for (v1::FoundPlan& plan : *report.mutable_best()) {
      google::protobuf::RepeatedPtrField<std::string> all(sets.begin(), sets.end());
      all.MergeFrom(plan.set());
      plan.mutable_set()->Swap(&all);
    }
    for (const std::string& set : sets) report.add_dimensions(set);
    reports.push_back(std::move(report));
  }
  WriteSearch(Combine(reports, options.objective, search.top), BaseCells(scenario),
              options.writing);
  return absl::OkStatus();
}

Status RunSearch(const Options& options) {
  ASSIGN_OR_RETURN(const ScenarioFile input,
                   ReadScenarioProto(options.scenarios.names.front(), options.scenarios.files));
  SearchOptions search = options.search;
  search.fidelity = options.simulate.fidelity;
  RETURN_IF_ERROR(SetShard(options, &search));
  if (!options.max_memory.empty()) {
    const std::optional<double> bytes = ParseNumber(options.max_memory, ByteSuffixes());
    if (!bytes || *bytes <= 0) {
      return InvalidInput(absl::StrCat("--max-memory: is \"", options.max_memory.substr(0, 64),
                                       "\", expected bytes, as 70GiB"));
    }
    search.max_memory_bytes = *bytes;
  }
  ASSIGN_OR_RETURN(std::vector<Vary> varied, VariedBy(options));
  const auto of_plan = std::stable_partition(varied.begin(), varied.end(), IsOfCluster);
  const std::span<const Vary> clusters(varied.begin(), of_plan), plans(of_plan, varied.end());
  search.stop = &interrupted;
  std::signal(SIGINT, Interrupt);
  if (!clusters.empty()) return SearchClusters(options, search, input.proto, clusters, plans);
  ASSIGN_OR_RETURN(const PlanSpace space,
                   PlanSpace::Make(input.proto, plans, options.catalog, search.fidelity));
  ASSIGN_OR_RETURN(const Searched searched, RunShard(options, options.out, search, space));
  if (search.shards > 1) {
    Print(absl::StrCat("part ", search.shard, " of ", search.shards, ": ",
                       searched.done ? "done" : "stopped", ", ",
                       FormatCount(static_cast<std::int64_t>(searched.plans.size())),
                       " plans looked at; `meshstep merge ", options.out, "` answers\n"));
    return absl::OkStatus();
  }
  WriteSearch(Assemble(space, searched, search, options.objective), BaseCells(input.proto),
              options.writing);
  return absl::OkStatus();
}

// The search that a script runs for each part.
std::string CommandOf(const Options& options) {
  std::vector<std::string> words = {"meshstep", "search", options.scenarios.names.front()};
  const auto add = [&](const char* name, const std::string& value) {
    words.insert(words.end(), {name, value});
  };
  for (const std::string& set : options.scenarios.files.sets) add("--set", set);
  for (const std::string& vary : options.vary) add("--vary", vary);
  for (const std::string& fix : options.fix) add("--fix", fix);
  if (options.simulate.fidelity == Fidelity::kIdeal) add("--fidelity", "ideal");
  add("--top", absl::StrCat(options.search.top));
  if (!options.max_memory.empty()) add("--max-memory", options.max_memory);
  if (options.search.allow_tight) add("--allow", "tight");
  add("--objective", options.objective.name);
  if (options.objective.price) add("--price", CellOf(*options.objective.price));
  for (const auto& [chip, price] : options.objective.price_of) {
    add("--price", absl::StrCat(chip, "=", CellOf(price)));
  }
  for (std::string& word : words) word = ShellQuoted(word);
  return absl::StrJoin(words, " ");
}

Status AddPrice(const std::string& text, Objective* objective) {
  const std::size_t equals = text.find('=');
  double price = 0;
  const std::string number = equals == std::string::npos ? text : text.substr(equals + 1);
  if (!absl::SimpleAtod(number, &price) || !(price > 0) || !std::isfinite(price)) {
    return InvalidInput(absl::StrCat("--price: is \"", text.substr(0, 64),
                                     "\", expected a positive number, or CHIP=NUMBER"));
  }
  if (equals == std::string::npos) {
    objective->price = price;
  } else {
    objective->price_of[text.substr(0, equals)] = price;
  }
  return absl::OkStatus();
}

void AddSearchOptions(CLI::App* command, Options* options) {
  command->add_option("--top", options->search.top, "How many of the best (default 20)")
      ->check(CLI::Range(1, 10000));
  command->add_option("--threads", options->search.threads, "Default: as many as the machine has")
      ->check(CLI::Range(1, 256));
  for (const auto& [name, list, help] :
       {std::tuple{"--fix", &options->fix, "PATH=VALUE: a field that is not searched; repeat"},
        std::tuple{"--vary", &options->vary,
                   "PATH=V,V or PATH=A..BxF: values of a field of the plan, instead of or beside "
                   "those that a search tries, or of the cluster, each searched; repeat"}}) {
    command->add_option(name, *list, help)->take_all()->expected(1)->allow_extra_args(false);
  }
  command->add_option("--max-memory", options->max_memory,
                      "Bytes of a device, as 70GiB; default: all that it has");
  command
      ->add_option_function<std::string>(
          "--allow", [options](const std::string&) { options->search.allow_tight = true; },
          "tight: also plans that fit only without the reserve of allocator, communication library "
          "and driver")
      ->check(CLI::IsMember({"tight"}));
  command
      ->add_option("--objective", options->objective.name,
                   "tokens_per_chip (default), step or cost: what best means")
      ->check(CLI::IsMember({"tokens_per_chip", "step", "cost"}));
  command
      ->add_option_function<std::vector<std::string>>(
          "--price",
          [options](const std::vector<std::string>& prices) {
            for (const std::string& text : prices) {
              if (const Status status = AddPrice(text, &options->objective); !status.ok()) {
                Fail(status);
              }
            }
          },
          "PRICE or CHIP=PRICE, of a chip for an hour; repeat: adds what a step costs")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  command->add_option("--shard", options->shard,
                      "i/n: part i of n of the space, from 0; slurm: as the job array says");
  command->add_option("--out", options->out,
                      "DIR that keeps what was found, so that a search goes on after it was ended");
  command->add_option("--emit", options->emit, "slurm: print a batch script for --shards parts")
      ->check(CLI::IsMember({"slurm"}));
  command->add_option("--shards", options->shards, "Parts of --emit (default 64)")
      ->check(CLI::Range(1, 100000));
}

struct MergeOptions {
  Catalog catalog;
  std::string folder;
  Writing writing;
};

StatusOr<v1::SearchReport> Merge(const MergeOptions& options, Cells* base) {
  ASSIGN_OR_RETURN(const std::vector<std::string> paths, SearchFilesIn(options.folder));
  std::vector<SearchContents> parts;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(SearchContents contents, ReadSearchFile(path));
    parts.push_back(std::move(contents));
  }
  const v1::SearchHeader& header = parts.front().header;
  SearchOptions search{.catalog = &options.catalog,
                       .fidelity = header.ideal() ? Fidelity::kIdeal : Fidelity::kCalibrated,
                       .top = header.top(),
                       .max_memory_bytes = header.max_memory_bytes(),
                       .allow_tight = header.allow_tight()};
  std::vector<Vary> varied;
  for (const std::string& text : header.vary()) {
    ASSIGN_OR_RETURN(Vary vary, ParseVary(text));
    varied.push_back(std::move(vary));
  }
  ASSIGN_OR_RETURN(const PlanSpace space,
                   PlanSpace::Make(header.scenario(), varied, options.catalog, search.fidelity));
  if (space.digest() != header.digest()) {
    return InvalidInput(absl::StrCat(options.folder, ": was searched by another version (space ",
                                     header.digest(), ", here ", space.digest(), ")"));
  }
  ASSIGN_OR_RETURN(const Searched searched, MergeParts(parts));
  *base = BaseCells(header.scenario());
  Objective objective{.name = header.objective(), .price = {}};
  if (header.has_price()) objective.price = header.price();
  return Assemble(space, searched, search, objective);
}

}  // namespace

void AddSearchCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "search", "The best plans of all: proven, without simulating most of them");
  AddScenarioOptions(command, &options->scenarios, 1, 1);
  AddSimulateOptions(command, &options->simulate);
  options->search.catalog = &options->catalog;
  AddSearchOptions(command, options.get());
  AddWriting(command, &options->writing);
  command->footer(
      "Examples:\n"
      "  meshstep search llama3-70b-h100-512 --fix plan.tensor=8 --fix plan.context=1 "
      "--fix plan.recompute=full --fix plan.schedule=1f1b --fix plan.micro_batch_sequences=2\n"
      "  meshstep search llama3-70b-h100-512 --emit=slurm --shards=8 --out=plans");
  command->callback([options] {
    if (!options->emit.empty()) {
      Print(SlurmScript(CommandOf(*options), options->shards,
                        options->out.empty() ? "plans" : options->out));
      return;
    }
    if (const Status status = RunSearch(*options); !status.ok()) Fail(status);
  });
}

void AddMergeCommand(CLI::App* app) {
  auto options = std::make_shared<MergeOptions>();
  CLI::App* command = app->add_subcommand(
      "merge", "The answer of a search whose parts were run with --shard=i/n --out=DIR");
  command->add_option("DIR", options->folder, "The folder that the parts wrote to")->required();
  AddWriting(command, &options->writing);
  command->footer(
      "Example, after `meshstep search ... --shard=i/n --out=DIR` for every i:\n"
      "  meshstep merge DIR");
  command->callback([options] {
    Cells base;
    const StatusOr<v1::SearchReport> report = Merge(*options, &base);
    if (!report.ok()) Fail(report.status());
    WriteSearch(*report, base, options->writing);
  });
}

}  // namespace meshstep
