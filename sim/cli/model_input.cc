#include "sim/cli/model_input.h"

#include <cmath>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/data_path.h"
#include "sim/base/proto_file.h"
#include "sim/base/set_field.h"
#include "strategies/model/load_model.h"

namespace meshstep {
namespace {

constexpr const char* kModels = "strategies/models";

StatusOr<v1::Model> ReadNamed(const std::string& name) {
  v1::Model message;
  if (name.empty()) return message;
  const bool file = name.find('.') != std::string::npos && FormatOfFile(name).ok();
  if (file) {
    ASSIGN_OR_RETURN(const InputFormat format, FormatOfFile(name));
    ASSIGN_OR_RETURN(const std::string content, ReadFile(name));
    RETURN_IF_ERROR(ParseMessage(name, content, format, &message));
  } else {
    message.set_preset(name);
  }
  Diagnostics diagnostics;
  Catalog().Resolve(kModels, "model", &message, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  if (message.name().empty()) message.set_name(name);
  return message;
}

// Letters that are there and whole.
class Letters {
 public:
  explicit Letters(const Values& values) : values_(values) {}

  bool Get(const std::string& letter, int* out) {
    const auto it = values_.find(letter);
    if (it == values_.end()) return false;
    // A width by a rule, as 8/3 D, is taken to the nearest whole number (AssumedOf says so).
    const double size = letter == "F" ? std::round(it->second) : it->second;
    if (size != std::floor(size) || size > 2147483647) {
      problem_ = absl::StrCat("--dims: ", letter, " is ", it->second,
                              ", expected a whole number up to 2147483647");
      return false;
    }
    *out = static_cast<int>(size);
    return true;
  }
  Status status() const { return problem_.empty() ? absl::OkStatus() : InvalidInput(problem_); }

 private:
  const Values& values_;
  std::string problem_;
};

void SetHeads(Letters* letters, v1::Model* message) {
  int n = 0, h = 0, k = 0;
  const bool has_n = letters->Get("N", &n), has_h = letters->Get("H", &h);
  if (has_n) message->set_heads(n);
  if (has_h) message->set_head_dim(h);
  if (letters->Get("K", &k)) message->set_kv_heads(k);
  if (!message->has_heads()) {
    // Without N attention is N·H = D wide, split as H says.
    message->set_heads(has_h && h > 0 ? message->hidden() / h : 1);
  }
}

void SetExperts(Letters* letters, v1::Model* message) {
  int e = 0, k = 0, f = 0;
  const bool has_e = letters->Get("E", &e), has_k = letters->Get("k", &k);
  if (has_e) message->mutable_moe()->set_experts(e);
  if (has_k) message->mutable_moe()->set_experts_per_token(k);
  if (!message->has_moe()) return;
  if (letters->Get("F", &f)) message->mutable_moe()->set_expert_ffn(f);
}

}  // namespace

const std::vector<std::string>& ModelLetters() {
  static const std::vector<std::string> letters = {"L", "D", "F", "N", "K",
                                                   "H", "V", "P", "E", "k"};
  return letters;
}

void AddModelOptions(CLI::App* command, ModelInput* input) {
  command->add_option("model", input->name, "A preset of `meshstep list models`, or a file");
  command->add_option("--dims", input->dims,
                      "Dimensions by letter, over the preset's: L layers, D hidden, F MLP width, "
                      "N query heads, K KV heads, H head size, V vocabulary, P position table, "
                      "E experts, k experts per token; also B, T, S");
  command->add_option("--set", input->set, "One field, as moe.shared_experts=1 or qkv_bias=true");
  command
      ->add_option("--mlp", input->mlp,
                   "gated (three matrices; default without a preset) or plain (two)")
      ->check(CLI::IsMember({"gated", "plain"}));
  command->add_flag("--tied", input->tied, "The head uses the embedding table");
  command->add_flag("--untied", input->untied, "The head has a table of its own, over the preset's")
      ->excludes("--tied");
  command->add_flag("--no-biases", input->no_biases,
                    "No biases of norms and matmuls, over the preset's");
}

std::vector<std::string> AssumedOf(const ModelInput& input, const Values& dims) {
  std::vector<std::string> assumed;
  const auto f = dims.find("F");
  if (f != dims.end() && f->second != std::round(f->second)) {
    assumed.push_back(
        absl::StrCat("F of ", std::round(f->second), ", as ", f->second, " is not whole"));
  }
  if (!input.name.empty()) return assumed;
  const auto add = [&](const char* letter, const std::string& what) {
    if (!dims.contains(letter)) {
      assumed.push_back(absl::StrCat(what, ", as ", letter, " is not given"));
    }
  };
  add("L", "one layer");
  add("F", "no MLP");
  add("V", "no embedding and no head");
  if (!dims.contains("N")) {
    add("N", dims.contains("H") ? "D/H query heads" : "one query head of D");
  }
  add("K", "as many KV heads as query heads");
  if (input.mlp.empty()) assumed.push_back("a gated MLP, as --mlp is not given");
  return assumed;
}

StatusOr<Model> ReadModel(const ModelInput& input, const Values& dims) {
  ASSIGN_OR_RETURN(v1::Model message, ReadNamed(input.name));
  if (input.name.empty()) {
    if (!dims.contains("D")) {
      return InvalidInput("model: is not given, expected a preset, a file or --dims with D");
    }
    message.set_layers(1);
    message.set_ffn(0);
    message.set_vocab(0);
    message.set_gated_mlp(true);
  }
  Letters letters(dims);
  int value = 0;
  if (letters.Get("L", &value)) message.set_layers(value);
  if (letters.Get("D", &value)) message.set_hidden(value);
  if (letters.Get("F", &value)) message.set_ffn(value);
  if (letters.Get("V", &value)) message.set_vocab(value);
  if (letters.Get("P", &value)) message.set_position_embeddings(value);
  SetHeads(&letters, &message);
  SetExperts(&letters, &message);
  RETURN_IF_ERROR(letters.status());
  if (!input.mlp.empty()) message.set_gated_mlp(input.mlp == "gated");
  if (input.tied || input.untied) message.set_tied_embeddings(input.tied);
  if (input.no_biases) {
    message.set_norm_bias(false);
    message.set_qkv_bias(false);
    message.set_attention_output_bias(false);
    message.set_mlp_bias(false);
  }
  for (std::string assignment : input.set) {
    const std::string prefix = "model.";
    if (assignment.rfind(prefix, 0) == 0) assignment.erase(0, prefix.size());
    RETURN_IF_ERROR(SetField(assignment, &message));
  }
  Diagnostics diagnostics;
  const Model model = LoadModel(message, "model", &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  return model;
}

}  // namespace meshstep
