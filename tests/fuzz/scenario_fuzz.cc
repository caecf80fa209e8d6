// Scenarios as text, JSON or binary (the first byte says which) up to the value that is simulated.

#include "fuzz.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/proto_file.h"
#include "strategies/plan/load_scenario.h"

namespace {

// A scenario may name files, which are none of this target's business.
bool NamesFiles(const meshstep::v1::Scenario& scenario) {
  const auto is_file = [](const std::string& preset) { return preset.ends_with(".textproto"); };
  return !scenario.model().hf_config().empty() || !scenario.plan().schedule_table().empty() ||
         is_file(scenario.model().preset()) || is_file(scenario.cluster().preset()) ||
         is_file(scenario.cluster().chip().preset()) || is_file(scenario.plan().kernels().preset());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace meshstep;
  if (size == 0) return 0;
  constexpr InputFormat kFormats[] = {InputFormat::kTextproto, InputFormat::kJson,
                                      InputFormat::kBinary};
  // Letters, so that corpora can be written by hand: t, j or b.
  const InputFormat format = kFormats[data[0] == 't' ? 0 : data[0] == 'j' ? 1 : 2];
  v1::Scenario proto;
  Locator locator;
  const Status status =
      ParseMessage("f", fuzz::TextOf(data + 1, size - 1), format, &proto, &locator);
  fuzz::CheckStatus(status);
  if (!status.ok() || NamesFiles(proto)) return 0;
  CHECK_EQ(locator("plan").substr(0, 1), "f");
  Diagnostics diagnostics(locator);
  static const Catalog catalog;
  LoadScenario(proto, catalog, &diagnostics);
  fuzz::CheckStatus(diagnostics.status());
  // Nothing that was read moves a cursor or begins a line.
  for (const std::string& error : diagnostics.errors()) CHECK_EQ(EscapeControls(error), error);
  for (const std::string& note : diagnostics.notes()) CHECK_EQ(EscapeControls(note), note);
  return 0;
}
