// The importer of one Hugging Face configuration: from keys and family to a model
// (load_hf_config.h says what it promises).

#ifndef MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_LOAD_HF_MODEL_H_
#define MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_LOAD_HF_MODEL_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nlohmann/json.hpp"
#include "sim/base/diagnostics.h"
#include "strategies/model/hugging_face/hf_family.h"
#include "strategies/model/hugging_face/hf_keys.h"

namespace meshstep::v1 {
class LayerKind;
class Model;
class Moe;
}  // namespace meshstep::v1

namespace meshstep {

class HfImporter : private HfKeys {
 public:
  // as: the family whose keys are read if model_type is unknown; empty: none.
  HfImporter(const Json& file, std::string_view as, Diagnostics* problems,
             std::vector<std::string>* assumptions, v1::Model* model)
      : HfKeys(file, problems, assumptions), file_(file), as_(as), out_(*model) {}
  void Import();

 private:
  static constexpr int kMaxWidth = 1 << 20, kMaxWide = 1 << 24, kMaxLayers = 10000;
  static constexpr int kMaxExperts = 65536;

  void TakeTextConfig();
  bool ChooseFamily();
  bool ReadType(std::string* type);
  bool FindFamily(const std::string& type);
  void Name();
  void Dimensions();
  void MlpWidth();
  void CheckMlpWidth();
  int ShortConvolutionFfn(std::optional<int> ffn);
  void CheckActivation();
  void Heads();
  int KvHeads();
  void HeadSize();
  void LatentAttention();
  void Positions();
  void Embedding();
  void Norms();
  void Prediction();
  void Biases();
  void CheckUnread();

  // In load_hf_mixers.cc.
  void Mixers();
  bool OnlyMamba() const;
  std::string ReadMixers();
  std::string MixersByPattern(const std::string& key, const std::string& pattern);
  std::string MixersByPeriod();
  void ReadStates(const std::string& mixers);
  void ReadMamba1();
  void ReadMamba2();
  void ReadDeltaNet();
  void ReadKimiDelta();
  void ReadLightning();
  void AddKind(char mixer, bool routed, char symbol);
  void SparseAttention();
  void ReadShortConvolution();
  void ReadRecurrentUnit();

  // In load_hf_layers.cc.
  void Windows();
  int WindowSize();
  std::vector<bool> FullLayers();
  std::vector<bool> LayersByType(const std::vector<std::string>& types);
  void Experts();
  bool CountExperts(int* count);
  void SharedExperts(v1::Moe* moe);
  void Routing(v1::Moe* moe);
  std::vector<bool> RoutedLayers();
  void DenseLayers(v1::Moe* moe);

  // In load_hf_shapes.cc.
  void Shapes();
  std::vector<bool> FullLayersOfShapes();
  std::vector<bool> RoutedLayersOfShapes();
  void SetShape(bool full, v1::LayerKind* kind);
  void ReadShapeOptions();
  std::vector<bool> FullLayersOfLlama4();
  void SetGemma4(bool full, v1::LayerKind* kind);
  void SetMimo(bool full, v1::LayerKind* kind);
  void SetStep(bool full, v1::LayerKind* kind);

  // In load_hf_compressed.cc.
  void CompressedLayers();
  std::vector<int> CompressionRates(int sparse, int heavy);
  void ReadCompressed();
  void AddCompressedKind(char symbol, int rate, bool sparse);

  const Json& file_;
  const std::string as_;
  HfFamily family_;
  // Layers without a window, where those with one are not all but one in so many.
  std::vector<bool> full_;
  v1::Model& out_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_LOAD_HF_MODEL_H_
