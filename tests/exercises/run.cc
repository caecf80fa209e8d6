// Answers the sharded-matmul exercises of a file:
//
//   run FILE.json [--format=json]
//
// The file is a list of { "id", "kind", "inputs", "answer" }; inputs have "expr", "mesh", the sizes
// of dimensions by name, "dtype", rates ("hw": { "C", "Ci8", "hbm", "hbm_bw", "W_uni", "W_bidi",
// "axes" }, or the same keys beside the others, or the name of a chip), "wrap", "plan", "t_hop".
// Everything is computed from `inputs` by strategies/einsum; this file only reads and compares.
// Status: 0 if all pass, 1 if not, 2 if the file cannot be read.

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fstream>
#include <iostream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "sim/base/data_path.h"
#include "strategies/einsum/exercise.h"
#include "strategies/einsum/load_hardware.h"
#include "strategies/einsum/notation/spelling.h"

namespace meshstep {
namespace {

using einsum::Exercise;
using einsum::ExerciseAnswer;
using Json = nlohmann::ordered_json;

constexpr double kDefaultTolerance = 1e-6;
constexpr double kLeastRate = 1e9;  // of a chip or link; a smaller number is a dimension

double NumberOr(const Json& object, const char* key, double otherwise) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : otherwise;
}

StatusOr<einsum::MeshShape> ReadMesh(const Json& inputs) {
  if (!inputs.contains("mesh") || inputs["mesh"].is_null()) return einsum::MeshShape();
  const Json& mesh = inputs["mesh"];
  if (mesh.is_string()) return einsum::ParseMeshShape(mesh.get<std::string>());
  std::vector<einsum::MeshShape::Axis> axes;
  for (const auto& [name, size] : mesh.items()) {
    const double chips = size.is_number() ? size.get<double>() : 0;
    if (chips < 1 || chips > std::numeric_limits<int>::max() || chips != std::floor(chips)) {
      return InvalidInput("axis " + name + " of the mesh is not a whole number from 1");
    }
    // A list of sizes, as [4, 8], names X, Y, Z in order.
    const std::string letter(1, "XYZW"[std::min<std::size_t>(axes.size(), 3)]);
    axes.push_back({mesh.is_array() ? letter : name, static_cast<int>(chips), {}});
  }
  return einsum::MakeMeshShape(std::move(axes));
}

// The chip that an exercise names instead of giving its rates, if it does.
std::string ChipName(const Json& inputs) {
  for (const char* key : {"hw", "chip", "hardware"}) {
    if (inputs.contains(key) && inputs[key].is_string()) return inputs[key];
  }
  if (!inputs.contains("hw") || !inputs["hw"].is_object()) return "";
  const Json& hw = inputs["hw"];
  const bool rates = hw.contains("C") || hw.contains("W_uni") || hw.contains("W_bidi");
  return !rates && hw.contains("name") && hw["name"].is_string() ? hw["name"] : Json("");
}

// The rates that an exercise carries, if it has any. `C` beside the dimensions may itself be one; a
// rate is more than 1e9.
StatusOr<std::optional<einsum::Hardware>> ReadHardware(const Json& inputs) {
  if (const std::string chip = ChipName(inputs); !chip.empty()) {
    ASSIGN_OR_RETURN(einsum::Hardware loaded, LoadHardware(chip, RateSet::kBook));
    return std::optional<einsum::Hardware>(std::move(loaded));
  }
  const Json& hw = inputs.contains("hw") && inputs["hw"].is_object() ? inputs["hw"] : inputs;
  einsum::Hardware hardware;
  hardware.name = hw.contains("name") && hw["name"].is_string() ? hw["name"].get<std::string>()
                                                                : "the chip of the exercise";
  const double peak = NumberOr(hw, "C", 0);
  if (peak > kLeastRate) {
    hardware.matmul.fill(FlopsPerSecond(peak));
    const FlopsPerSecond narrow(NumberOr(hw, "Ci8", peak));
    hardware.matmul[static_cast<std::size_t>(Dtype::kInt8)] = narrow;
    hardware.matmul[static_cast<std::size_t>(Dtype::kFp8)] = narrow;
  }
  hardware.hbm = Bytes(NumberOr(hw, "hbm", 0));
  hardware.hbm_rate = BytesPerSecond(NumberOr(hw, "hbm_bw", 0));
  // The book's W is that of both ways. Below 1e9 it is a dimension.
  const double w = NumberOr(hw, "W", 0);
  const double both_ways =
      NumberOr(hw, "W_bidi", NumberOr(inputs, "W_bidi", w > kLeastRate ? w : 0));
  hardware.link = BytesPerSecond(NumberOr(hw, "W_uni", both_ways / 2));
  hardware.interconnect.kind = Interconnect::Kind::kTorus;
  hardware.interconnect.wraparound = Interconnect::Wraparound::kAlways;
  hardware.interconnect.dimensions = static_cast<int>(NumberOr(hw, "axes", 0));
  if (peak <= kLeastRate && hardware.link.value() == 0) return std::optional<einsum::Hardware>();
  return std::optional<einsum::Hardware>(std::move(hardware));
}

StatusOr<Exercise> ReadExercise(const Json& inputs) {
  Exercise exercise;
  const Json& text = inputs.at("expr");
  if (text.is_string()) exercise.expression = text.get<std::string>();
  if (text.is_array()) {
    for (const Json& part : text) exercise.expression += part.get<std::string>() + ";";
  }
  ASSIGN_OR_RETURN(exercise.mesh, ReadMesh(inputs));
  for (const char* group : {"", "dims", "dimensions", "sizes"}) {
    const Json& sizes = *group == 0 ? inputs : inputs.value(group, Json::object());
    for (const auto& [name, value] : sizes.items()) {
      if (value.is_number()) exercise.sizes[name] = value.get<double>();
    }
  }
  if (inputs.contains("dtype") && inputs["dtype"].is_string()) {
    ASSIGN_OR_RETURN(exercise.options.dtype,
                     einsum::ParseDtypeSpelling(inputs["dtype"].get<std::string>()));
  }
  ASSIGN_OR_RETURN(exercise.options.hardware, ReadHardware(inputs));
  const bool line =
      inputs.contains("wrap") && inputs["wrap"].is_boolean() && !inputs["wrap"].get<bool>();
  exercise.options.model = line ? einsum::CostModel::kNoWrap : einsum::CostModel::kBook;
  if (inputs.contains("t_hop")) exercise.options.hop_latency = NumberOr(inputs, "t_hop", 0);
  if (inputs.contains("plan") && inputs["plan"].is_string()) exercise.plan = inputs["plan"];
  return exercise;
}

bool Near(double value, double expected, double tolerance) {
  return std::abs(value - expected) <= tolerance * std::abs(expected);
}

// What one exercise was answered, as it is printed.
class Report {
 public:
  explicit Report(const Json& exercise)
      : exercise_(exercise), answer_(exercise.value("answer", Json::object())) {}

  Json Run() {
    const Json inputs = exercise_.value("inputs", Json::object());
    const StatusOr<Exercise> read = ReadExercise(inputs);
    const StatusOr<ExerciseAnswer> answer =
        read.ok() ? ExerciseAnswer::Make(*read) : StatusOr<ExerciseAnswer>(read.status());
    const Json quantities = answer_.value("quantities", Json::object());
    if (!answer.ok() && !quantities.contains("error")) Fail(std::string(answer.status().message()));
    for (const auto& [name, expected] : quantities.items()) Quantity(answer, name, expected);
    if (answer.ok()) {
      Collectives(*answer);
      Bound(*answer);
    }
    if (answered_ == 0) Fail("nothing was answered");
    std::string reason = failures_;
    if (!unanswered_.empty())
      reason += (reason.empty() ? "" : "; ") + ("not asked of a product: " + unanswered_);
    return {{"id", exercise_.value("id", "")},
            {"pass", failures_.empty()},
            {"reason", reason},
            {"quantities", values_}};
  }

 private:
  void Fail(const std::string& why) { failures_ += (failures_.empty() ? "" : "; ") + why; }

  void Compare(const std::string& name, const Json& value, const Json& expected, bool same) {
    values_.push_back({{"name", name}, {"value", value}, {"expected", expected}});
    ++answered_;
    if (!same) Fail(name + " is " + value.dump() + ", expected " + expected.dump());
  }

  void Quantity(const StatusOr<ExerciseAnswer>& answer, const std::string& name,
                const Json& asked) {
    const Json expected = asked.is_object() ? asked.value("value", Json()) : asked;
    if (name == "error") return Error(answer, expected);
    if (!answer.ok()) return;
    if (expected.is_number()) {
      const std::optional<double> value = answer->Number(name);
      const double tolerance =
          asked.is_object() ? NumberOr(asked, "rtol", kDefaultTolerance) : kDefaultTolerance;
      if (value) {
        return Compare(name, *value, expected, Near(*value, expected.get<double>(), tolerance));
      }
    } else if (expected.is_array() && !expected.empty() && expected[0].is_number()) {
      const std::optional<std::vector<double>> shape = answer->Shape(name);
      if (shape)
        return Compare(name, *shape, expected, *shape == expected.get<std::vector<double>>());
    }
    values_.push_back({{"name", name}, {"value", nullptr}, {"expected", expected}});
    unanswered_ += (unanswered_.empty() ? "" : ", ") + name;
  }

  // True if the message names every axis, dimension and array (upper case) that `text` does.
  static bool NamesAll(const std::string& message, const std::string& text) {
    std::istringstream words(text);
    int names = 0;
    for (std::string word; words >> word;) {
      std::erase_if(word, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
      if (word.empty() || !std::isupper(static_cast<unsigned char>(word[0]))) continue;
      ++names;
      if (message.find(word) == std::string::npos) return false;
    }
    return names > 1;
  }

  // The sentence begins with the contradiction; the rule and the advice follow after a colon.
  void Error(const StatusOr<ExerciseAnswer>& answer, const Json& expected) {
    const std::string message(answer.ok() ? "" : std::string(answer.status().message()));
    const std::string text = expected.is_string() ? expected.get<std::string>() : "";
    const bool same =
        !message.empty() && (message.find(text) != std::string::npos || NamesAll(message, text));
    // What is contradictory, without the rule and the advice.
    Compare("error", message.substr(0, message.find(": ")), expected, same);
  }

  void Bound(const ExerciseAnswer& answer) {
    const std::string expected = answer_.value("bound", "");
    const bool timed = !std::isnan(answer.plan().overlapped_s);
    if (!timed || (expected != "compute" && expected != "comms")) return;
    Compare("bound", answer.Bound(), expected, answer.Bound() == expected);
  }

  void Collectives(const ExerciseAnswer& answer) {
    if (answer_.contains("collectives")) {
      CompareCollectives("collectives", answer, answer.chosen(), answer_["collectives"]);
    }
    if (!answer_.contains("alternative_collectives")) return;
    // Some plan does it with exactly these; which is best depends on the rates.
    const Json& expected = answer_["alternative_collectives"];
    for (std::size_t plan = 0; plan < answer.answer().derivations.size(); ++plan) {
      if (Listed(answer, plan) == Wanted(expected)) {
        return CompareCollectives("alternative_collectives", answer, plan, expected);
      }
    }
    Compare("alternative_collectives", nullptr, expected, false);
  }

  static std::string Listed(const ExerciseAnswer& answer, std::size_t plan) {
    std::string text;
    for (const einsum::Step& step : answer.Collectives(plan)) {
      text += std::string(NameOf(step.reshard.op)) + " " + step.array + ";";
    }
    return text;
  }
  static std::string Wanted(const Json& expected) {
    std::string text;
    for (const Json& item : expected) {
      text += item.value("op", "") + " " + item.value("array", "") + ";";
    }
    return text;
  }

  void CompareCollectives(const std::string& name, const ExerciseAnswer& answer, std::size_t plan,
                          const Json& expected) {
    Json value = Json::array();
    bool same = true;
    const std::vector<einsum::Step> steps = answer.Collectives(plan);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const einsum::Step& step = steps[i];
      Json axes = Json::array();
      for (AxisId axis : step.axes) {
        axes.push_back(answer.expression().mesh.axes[static_cast<std::size_t>(axis)].name);
      }
      value.push_back({{"op", std::string(NameOf(step.reshard.op))},
                       {"array", step.array},
                       {"axes", axes},
                       {"group", step.chips},
                       {"when", step.before_product ? "before" : "after"},
                       {"dim", step.dim},
                       {"bytes", step.volume},
                       {"sent_bytes_per_chip", step.sent}});
      same = same && i < expected.size() && Agrees(value.back(), expected[i]);
    }
    Compare(name, value, expected, same && steps.size() == expected.size());
  }

  static bool Agrees(const Json& value, const Json& expected) {
    for (const char* key : {"op", "array", "axes", "when", "dim"}) {
      if (expected.contains(key) && !expected[key].is_null() && expected[key] != value[key]) {
        return false;
      }
    }
    for (const char* key : {"bytes", "sent_bytes_per_chip", "group"}) {
      if (expected.contains(key) && !Near(value[key], expected[key], 0.005)) return false;
    }
    return true;
  }

  const Json& exercise_;
  Json answer_;
  Json values_ = Json::array();
  std::string failures_, unanswered_;
  int answered_ = 0;
};

// An exercise that does not keep to the schema is one that does not pass.
Json Answered(const Json& exercise) {
  try {
    return Report(exercise).Run();
  } catch (const Json::exception& e) {
    return {{"id", exercise.value("id", Json())},
            {"pass", false},
            {"reason", std::string("not in the schema: ") + e.what()},
            {"quantities", Json::array()}};
  }
}

void PrintText(const Json& reports) {
  int passed = 0;
  for (const Json& report : reports) {
    const bool pass = report["pass"];
    passed += pass;
    std::cout << (pass ? "pass " : "FAIL ")
              << (report["id"].is_string() ? report["id"].get<std::string>() : report["id"].dump());
    if (!report["reason"].get<std::string>().empty()) {
      std::cout << ": " << report["reason"].get<std::string>();
    }
    std::cout << "\n";
  }
  std::cout << passed << " of " << reports.size() << " exercises pass\n";
}

int Main(int argc, char** argv) {
  std::string path;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--format=json") {
      json = true;
    } else if (argument != "--format=text") {
      path = argument;
    }
  }
  const StatusOr<std::string> content = ReadFile(path);
  if (!content.ok()) {
    std::cerr << "usage: run FILE.json [--format=json]\n" << content.status().message() << "\n";
    return 2;
  }
  const Json file = Json::parse(*content, nullptr, false);
  if (file.is_discarded()) {
    std::cerr << path << ": is not JSON\n";
    return 2;
  }
  const Json& exercises = file.is_object() && file.contains("exercises") ? file["exercises"] : file;
  Json reports = Json::array();
  bool all = true;
  for (const Json& exercise : exercises) {
    const bool has_product =
        exercise.is_object() && exercise.contains("inputs") && exercise["inputs"].contains("expr");
    if (!has_product || exercise.value("kind", "") != "sharded-matmul") continue;
    reports.push_back(Answered(exercise));
    all = all && reports.back()["pass"].get<bool>();
  }
  if (json) {
    std::cout << reports.dump(1) << "\n";
  } else {
    PrintText(reports);
  }
  return all ? 0 : 1;
}

}  // namespace
}  // namespace meshstep

int main(int argc, char** argv) { return meshstep::Main(argc, argv); }
