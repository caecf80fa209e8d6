#include "strategies/model/load_layer_kinds.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/index.h"
#include "strategies/model/load_fields.h"
#include "strategies/model/load_layer.h"

namespace meshstep {
namespace {

// The order of the layers before `end`, of which those from `begin` on repeat what `kind_of` gives
// from there to `begin + period`.
template <typename KindOf>
LayerOrder OrderOf(int layers, int begin, std::int64_t period, KindOf kind_of) {
  LayerOrder order;
  order.period.clear();
  const bool repeats = begin + period <= layers;
  const int listed = repeats ? begin : layers - 1;
  for (int i = 0; i < listed; ++i) order.first.push_back(kind_of(i));
  for (int i = listed; i < (repeats ? listed + static_cast<int>(period) : layers); ++i) {
    order.period.push_back(kind_of(i));
  }
  return order;
}

class UsualLoader : private FieldLoader {
 public:
  UsualLoader(const v1::Model& message, const std::string& field, Diagnostics* diagnostics,
              Model* model)
      : FieldLoader(field, diagnostics), in_(message), out_(*model) {}

  void Load();

 private:
  bool IsRouted(int layer) const;
  int WindowAt(int layer) const;
  int KindAt(int layer);
  void Fill();

  const v1::Model& in_;
  Model& out_;
  int dense_ = 0, routed_period_ = 1, global_period_ = 0;
  std::map<std::pair<bool, int>, int> kinds_;
};

bool UsualLoader::IsRouted(int layer) const {
  if (!out_.moe || layer < dense_) return false;
  return (layer - dense_) % routed_period_ == routed_period_ - 1;
}

// One layer in `global_layer_period` sees everything: the last of each group (Gemma 2, gpt-oss).
int UsualLoader::WindowAt(int layer) const {
  const bool global = global_period_ > 0 && (layer + 1) % global_period_ == 0;
  return global ? 0 : out_.sliding_window;
}

int UsualLoader::KindAt(int layer) {
  const bool routed = IsRouted(layer);
  const int window = WindowAt(layer);
  const auto [it, added] =
      kinds_.emplace(std::pair(routed, window), static_cast<int>(kinds_.size()));
  if (added) {
    Layer kind = out_;
    kind.kind = absl::StrCat(routed ? "experts" : "dense",
                             window > 0 ? absl::StrCat(", window ", window) : "");
    if (!routed) kind.moe.reset();
    kind.sliding_window = window;
    out_.kinds.push_back(std::move(kind));
  }
  return it->second;
}

void UsualLoader::Load() {
  const v1::Moe& moe = in_.moe();
  const bool all_routed = in_.has_moe() && moe.dense_layers() == 0 && moe.layer_period() <= 1;
  const LayerHalves halves{Mixer::kAttention, in_.has_moe() ? Feed::kRouted : Feed::kDense,
                           !all_routed};
  const bool loaded = LoadLayer(in_, halves, field(), &diagnostics(), &out_);
  if (in_.has_moe()) {
    dense_ = Range("moe.dense_layers", moe.dense_layers(), 0, std::max(0, out_.layers));
    routed_period_ = Range("moe.layer_period", std::max(1, moe.layer_period()), 1, kMaxLayers);
  }
  global_period_ = Range("global_layer_period", in_.global_layer_period(), 0, kMaxLayers);
  if (global_period_ > 0 && out_.sliding_window == 0) {
    Problem("global_layer_period",
            absl::StrCat("is ", global_period_, ", which needs sliding_window to be set"));
  }
  if (!in_.layer_pattern().empty()) {
    Problem("layer_pattern", "is set, which needs layer_kinds to be set");
  }
  if (loaded && ok() && out_.layers > 0) Fill();
}

void UsualLoader::Fill() {
  const std::int64_t period =
      std::lcm(std::int64_t{routed_period_}, std::int64_t{std::max(1, global_period_)});
  out_.order = OrderOf(out_.layers, dense_, period, [this](int layer) { return KindAt(layer); });
  if (out_.kinds.size() > 1) return;
  static_cast<Layer&>(out_) = out_.kinds.front();
  out_.kinds.clear();
  out_.order = {};
}

Mixer MixerOf(v1::LayerKind::Mixer mixer) {
  switch (mixer) {
    case v1::LayerKind::MAMBA:
      return Mixer::kMamba;
    case v1::LayerKind::DELTA_NET:
      return Mixer::kDeltaNet;
    case v1::LayerKind::LINEAR_ATTENTION:
      return Mixer::kLinearAttention;
    case v1::LayerKind::ATTENTION_AND_MAMBA:
      return Mixer::kAttentionAndMamba;
    case v1::LayerKind::SHORT_CONVOLUTION:
      return Mixer::kShortConvolution;
    case v1::LayerKind::RECURRENT_UNIT:
      return Mixer::kRecurrentUnit;
    case v1::LayerKind::NO_MIXER:
      return Mixer::kNone;
    default:
      return Mixer::kAttention;
  }
}

Feed FeedOf(v1::LayerKind::Mlp mlp, bool has_moe) {
  switch (mlp) {
    case v1::LayerKind::DENSE:
      return Feed::kDense;
    case v1::LayerKind::ROUTED:
      return Feed::kRouted;
    case v1::LayerKind::NO_MLP:
      return Feed::kNone;
    default:
      return has_moe ? Feed::kRouted : Feed::kDense;
  }
}

// The model with what the kind says in the fields of the same names.
v1::Model Merged(const v1::Model& model, const v1::LayerKind& kind) {
  v1::Model merged = model;
  const google::protobuf::Reflection& from = *kind.GetReflection();
  const google::protobuf::Reflection& to = *merged.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  from.ListFields(kind, &fields);
  for (const auto* field : fields) {
    const auto* same = v1::Model::descriptor()->FindFieldByName(field->name());
    if (same == nullptr || same->is_repeated() || same->cpp_type() != field->cpp_type()) continue;
    if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_INT32) {
      to.SetInt32(&merged, same, from.GetInt32(kind, field));
    } else if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_BOOL) {
      to.SetBool(&merged, same, from.GetBool(kind, field));
    } else if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
      to.MutableMessage(&merged, same)->MergeFrom(from.GetMessage(kind, field));
    }
  }
  return merged;
}

std::string Described(const Layer& layer) {
  std::string mixer;
  switch (layer.mixer) {
    case Mixer::kAttention:
      mixer = layer.indexer ? "sparse attention" : layer.mla ? "latent attention" : "attention";
      if (layer.compressed && layer.compressed->rate > 0) {
        absl::StrAppend(&mixer, " by ", layer.compressed->rate);
      }
      if (layer.sliding_window > 0) absl::StrAppend(&mixer, " window ", layer.sliding_window);
      if (layer.attention_chunk > 0) absl::StrAppend(&mixer, " chunk ", layer.attention_chunk);
      break;
    case Mixer::kMamba:
      mixer = layer.mamba->dt_rank > 0 ? "mamba-1" : "mamba-2";
      break;
    case Mixer::kDeltaNet:
      mixer = layer.delta_net->decay_rank > 0 ? "kimi delta attention" : "gated delta net";
      break;
    case Mixer::kLinearAttention:
      mixer = "linear attention";
      break;
    case Mixer::kAttentionAndMamba:
      mixer = "attention beside mamba-2";
      break;
    case Mixer::kShortConvolution:
      mixer = "short convolution";
      break;
    case Mixer::kRecurrentUnit:
      mixer = "recurrent unit";
      break;
    case Mixer::kNone:
      break;
  }
  const std::string mlp = layer.moe ? "experts" : layer.ffn > 0 ? "dense" : "";
  return absl::StrCat(mixer, mixer.empty() || mlp.empty() ? "" : ", ", mlp);
}

class KindsLoader : private FieldLoader {
 public:
  KindsLoader(const v1::Model& message, const std::string& field, Diagnostics* diagnostics,
              Model* model)
      : FieldLoader(field, diagnostics), in_(message), out_(*model) {}

  void Load();

 private:
  void RefuseOrderOfUsual();
  bool LoadKinds();
  bool LoadSymbols();
  std::vector<int> ReadPattern();
  bool ReadLayers();
  bool Take(int kind, const std::string& text, const std::string& at);
  void Arrange();
  void ChooseOwn();
  static std::string At(int kind) { return absl::StrCat("layer_kinds[", kind, "]"); }

  const v1::Model& in_;
  Model& out_;
  std::map<char, int> symbols_;
  std::vector<int> named_;  // per layer: the kind that names it, or -1
};

void KindsLoader::RefuseOrderOfUsual() {
  const auto refuse = [&](const char* name, int value) {
    if (value == 0) return;
    Problem(name, absl::StrCat("is ", value,
                               " beside layer_kinds; expected layer_pattern or the layers of a "
                               "kind to say it"));
  };
  refuse("global_layer_period", in_.global_layer_period());
  refuse("moe.dense_layers", in_.moe().dense_layers());
  refuse("moe.layer_period", in_.moe().layer_period());
}

bool KindsLoader::LoadKinds() {
  bool loaded = true;
  for (int i = 0; i < in_.layer_kinds_size(); ++i) {
    const v1::LayerKind& kind = in_.layer_kinds(i);
    const v1::Model merged = Merged(in_, kind);
    const Feed feed = FeedOf(kind.mlp(), merged.has_moe());
    Layer layer;
    loaded = LoadLayer(merged, {MixerOf(kind.mixer()), feed, feed == Feed::kDense},
                       absl::StrCat(field(), ".", At(i)), &diagnostics(), &layer) &&
             loaded;
    if (loaded) layer.kind = kind.name().empty() ? Described(layer) : kind.name();
    if (loaded && layer.mixer == Mixer::kNone && !layer.HasFeed()) {
      Problem(At(i), "has neither a mixer nor an MLP, expected one of them");
    }
    out_.kinds.push_back(std::move(layer));
  }
  return loaded && ok();
}

bool KindsLoader::LoadSymbols() {
  for (int i = 0; i < in_.layer_kinds_size(); ++i) {
    const std::string& symbol = in_.layer_kinds(i).symbol();
    if (symbol.empty()) continue;
    const char c = symbol.front();
    if (symbol.size() > 1 || c <= ' ' || c > '~' || c == '|') {
      Problem(At(i) + ".symbol", absl::StrCat("is \"", symbol, "\", expected one letter or sign"));
    } else if (!symbols_.emplace(c, i).second) {
      Problem(At(i) + ".symbol", absl::StrCat("is \"", symbol, "\", which another kind has"));
    }
  }
  return ok();
}

// One entry of "0-2, 60".
bool KindsLoader::Take(int kind, const std::string& text, const std::string& at) {
  const std::vector<std::string> ends = absl::StrSplit(text, '-');
  int first = -1, last = -1;
  const bool numbers = ends.size() <= 2 && absl::SimpleAtoi(ends.front(), &first) &&
                       absl::SimpleAtoi(ends.back(), &last);
  if (!numbers || first < 0 || last < first || last >= out_.layers) {
    Problem(at, absl::StrCat("has \"", text, "\", expected layers from 0 to ", out_.layers - 1,
                             ", as \"0-2, 5\""));
    return false;
  }
  for (int layer = first; layer <= last; ++layer) {
    if (named_[Index(layer)] >= 0) {
      Problem(at, absl::StrCat("has layer ", layer, ", which another kind or entry has"));
      return false;
    }
    named_[Index(layer)] = kind;
  }
  return true;
}

bool KindsLoader::ReadLayers() {
  named_.assign(Index(out_.layers), -1);
  for (int i = 0; i < in_.layer_kinds_size(); ++i) {
    const std::string& layers = in_.layer_kinds(i).layers();
    if (layers.empty()) continue;
    for (const auto part : absl::StrSplit(layers, ',')) {
      const std::string text(absl::StripAsciiWhitespace(part));
      if (!Take(i, text, At(i) + ".layers")) return false;
    }
  }
  return true;
}

std::vector<int> KindsLoader::ReadPattern() {
  std::vector<int> kinds;
  for (const char c : in_.layer_pattern()) {
    if (c == ' ' || c == '\n' || c == '|') continue;
    const auto it = symbols_.find(c);
    if (it == symbols_.end()) {
      Problem("layer_pattern",
              absl::StrCat("has '", std::string(1, c), "', which is the symbol of no kind"));
      return {};
    }
    kinds.push_back(it->second);
  }
  if (!in_.layer_pattern().empty() && kinds.empty()) {
    Problem("layer_pattern", "has no symbol, expected one or more");
  }
  if (!kinds.empty() || !ok()) return kinds;
  for (int i = 0; i < in_.layer_kinds_size(); ++i) {
    if (in_.layer_kinds(i).layers().empty()) kinds.push_back(i);
  }
  return kinds;
}

void KindsLoader::Arrange() {
  const std::vector<int> pattern = ReadPattern();
  if (!ok()) return;
  const auto unnamed = std::ranges::count(named_, -1);
  if (unnamed > 0 && pattern.empty()) {
    Problem("layer_kinds", absl::StrCat("name ", out_.layers - unnamed, " of ", out_.layers,
                                        " layers, expected all of them or a layer_pattern"));
    return;
  }
  if (std::ssize(pattern) > unnamed) {
    Problem("layer_pattern", absl::StrCat("has ", pattern.size(), " layers, but ", unnamed, " of ",
                                          out_.layers, " are left to it"));
    return;
  }
  if (unnamed == out_.layers) {
    out_.order = {{}, pattern};
  } else {
    std::size_t next = 0;
    const auto kind_of = [&](int layer) {
      const int kind = named_[Index(layer)];
      return kind >= 0 ? kind : pattern[next++ % pattern.size()];
    };
    out_.order = OrderOf(out_.layers, out_.layers, 1, kind_of);
  }
  for (int i = 0; i < in_.layer_kinds_size(); ++i) {
    bool there = false;
    for (int layer = 0; layer < out_.layers && !there; ++layer) there = out_.order.At(layer) == i;
    if (!there) Problem(At(i), "is the kind of no layer, expected one at least");
  }
}

// The first kind with attention and experts, else with attention and an MLP, else with attention;
// what it lacks is that of the first kind that has it.
void KindsLoader::ChooseOwn() {
  const auto worth = [](const Layer& layer) {
    return (layer.HasAttention() ? 4 : 0) + (layer.moe ? 2 : 0) + (layer.HasFeed() ? 1 : 0);
  };
  const auto best = std::ranges::max_element(out_.kinds, {}, worth);
  static_cast<Layer&>(out_) = *best;
  for (const Layer& kind : out_.kinds) {
    const bool first = !out_.moe && kind.moe;
    if (first || (!out_.HasFeed() && kind.HasFeed())) {
      out_.gated_mlp = kind.gated_mlp;
      out_.mlp_bias = kind.mlp_bias;
      out_.moe = kind.moe;
    }
    if (out_.ffn == 0) out_.ffn = kind.ffn;
  }
  out_.kind.clear();
}

void KindsLoader::Load() {
  RefuseOrderOfUsual();
  const bool kinds = LoadKinds();
  if (!LoadSymbols() || !kinds || !ReadLayers()) return;
  Arrange();
  if (ok()) ChooseOwn();
}

}  // namespace

void LoadUsualLayers(const v1::Model& message, const std::string& field, Diagnostics* diagnostics,
                     Model* model) {
  UsualLoader(message, field, diagnostics, model).Load();
}

void LoadLayerKinds(const v1::Model& message, const std::string& field, Diagnostics* diagnostics,
                    Model* model) {
  KindsLoader(message, field, diagnostics, model).Load();
}

}  // namespace meshstep
