// meshstep check: is the scenario valid, does it fit, and what would.

#include <algorithm>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/advice/variants.h"
#include "sim/base/format.h"
#include "sim/cli/commands.h"
#include "sim/cli/scenario_input.h"

namespace meshstep {
namespace {

constexpr int kMostChanges = 8;
constexpr std::size_t kMostPaired = 3;

struct Options {
  ScenarioOptions scenarios;
  SimulateOptions simulate;
  OutputFormat format = OutputFormat::kText;
};

std::string ToText(const v1::CheckReport& report) {
  const v1::Memory& memory = report.memory();
  const std::string by = FormatBytes(std::abs(static_cast<double>(report.spare_bytes())));
  std::string text = absl::StrCat(
      report.scenario(), ": valid; ",
      memory.fits() ? "fits with " + by + " to spare" : "does not fit, " + by + " too much",
      " on stage ", memory.stage(), " (peak ",
      FormatBytes(static_cast<double>(memory.peak_bytes())), " of ",
      FormatBytes(static_cast<double>(memory.capacity_bytes())), " at ",
      FormatSeconds(memory.peak_time_s()), ": ", memory.peak_task(), ")\n");
  if (memory.fits()) return text;
  for (const v1::StageReport& stage : report.stages()) {
    const v1::Memory& m = stage.memory();
    if (m.fits() || report.stages_size() == 1) continue;
    absl::StrAppend(&text, "  stage ", stage.stage(), ": ",
                    FormatBytes(static_cast<double>(m.peak_bytes() - m.capacity_bytes())),
                    " too much at ", m.peak_task(), "\n");
  }
  int shown = 0;
  for (const v1::PlanChange& change : report.changes()) {
    if (!change.fits() || shown++ >= kMostChanges) continue;
    absl::StrAppend(&text, shown == 1 ? "Changes that fit, quickest first:\n" : "", "  ",
                    change.text(), "\n");
  }
  if (shown == 0) text += "No change of the plan, and no two of them, fits.\n";
  return text;
}

// The changes that save most, each with every other change of other fields.
void AddPairs(const ScenarioInput& input, const v1::SimulateReport& base,
              const SimulateOptions& options, std::vector<v1::PlanChange>* changes) {
  std::vector<v1::PlanChange> most = *changes;
  std::ranges::stable_sort(most, {}, &v1::PlanChange::peak_bytes);
  if (most.size() > kMostPaired) most.resize(kMostPaired);
  const auto field = [](const std::string& set) { return set.substr(0, set.find('=')); };
  std::vector<PlanEdit> pairs;
  for (std::size_t first = 0; first < most.size(); ++first) {
    const PlanEdit with(most[first].set().begin(), most[first].set().end());
    for (const v1::PlanChange& second : *changes) {
      const bool paired =
          std::any_of(most.begin(), most.begin() + static_cast<std::ptrdiff_t>(first),
                      [&](const v1::PlanChange& before) { return before.text() == second.text(); });
      const bool same = std::ranges::any_of(second.set(), [&](const std::string& a) {
        return std::ranges::any_of(with,
                                   [&](const std::string& b) { return field(a) == field(b); });
      });
      if (paired || same) continue;
      PlanEdit both = with;
      both.insert(both.end(), second.set().begin(), second.set().end());
      pairs.push_back(std::move(both));
    }
  }
  for (v1::PlanChange& change : SimulateEdits(input, pairs, base, options)) {
    if (change.fits()) changes->push_back(std::move(change));
  }
}

void RunCheck(const Options& options) {
  const std::vector<ScenarioInput> inputs = ReadScenarios(options.scenarios);
  const v1::SimulateReport base = SimulateAll(inputs, options.simulate).front();
  v1::CheckReport report;
  report.set_scenario(base.scenario());
  report.set_step_time_s(base.step_time_s());
  *report.mutable_memory() = base.memory();
  report.set_spare_bytes(base.memory().capacity_bytes() - base.memory().peak_bytes());
  *report.mutable_stages() = base.stages();
  if (!base.memory().fits()) {
    std::vector<v1::PlanChange> changes =
        SimulateEdits(inputs.front(), PlanEdits(inputs.front()), base, options.simulate);
    const auto fits = [](const v1::PlanChange& change) { return change.fits(); };
    if (std::ranges::none_of(changes, fits)) {
      AddPairs(inputs.front(), base, options.simulate, &changes);
    }
    std::ranges::stable_partition(changes, fits);
    for (v1::PlanChange& change : changes) *report.add_changes() = std::move(change);
    SetExitCode(kExitDoesNotFit);
  }
  Print(options.format == OutputFormat::kText ? ToText(report) : Serialize(report, options.format));
}

}  // namespace

void AddCheckCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "check", "Does the scenario fit in memory, and the nearest changes that do");
  AddScenarioOptions(command, &options->scenarios, 1, 1);
  AddSimulateOptions(command, &options->simulate);
  AddFormatOption(command, &options->format);
  command->footer(
      "Exit status: 0 it fits, 2 it is not valid, 3 it does not fit.\n"
      "Example:\n"
      "  meshstep check llama3-70b-h100-512 --set plan.recompute=none");
  command->callback([options] { RunCheck(*options); });
}

}  // namespace meshstep
