import Platform

/// The names of the layers behind the groups of a Keras 3 file, by the network's config: for files whose groups do not say them.
///
/// Keras names the group of a layer by its class in snake case, and from the second layer of a class on by `_1`, `_2`, …, counted
/// in the order of the model's layers; a model among them has its own layers inside (`saving_lib.py`: `_save_container_state`).
/// tf.keras 2.13 says `_layer_checkpoint_dependencies` for `layers`.
struct KerasLayerNames {
  /// By paths such as `layers/functional/layers/conv2d_1`.
  private var names: [String: String] = [:]

  init(config: JSONValue) { collect(config, path: "") }

  func name(of group: String) -> String? {
    names[
      group.split(separator: "/").map { $0 == "_layer_checkpoint_dependencies" ? "layers" : $0 }
        .joined(separator: "/")]
  }

  private mutating func collect(_ model: JSONValue, path: String) {
    var counts: [String: Int] = [:]
    for layer in model["config"]?["layers"]?.array ?? [] {
      guard let className = layer["class_name"]?.string else { continue }
      let snake = Self.snakeCase(className)
      let count = counts[snake, default: 0]
      counts[snake] = count + 1
      let place = path + "layers/" + snake + (count == 0 ? "" : "_\(count)")
      if let name = (layer["config"]?["name"] ?? layer["name"])?.string { names[place] = name }
      collect(layer, path: place + "/")
    }
  }

  /// `BatchNormalization` → `batch_normalization`, `Conv2D` → `conv2d`, `ReLU` → `re_lu`, `GlobalAveragePooling2D` →
  /// `global_average_pooling2d`: `to_snake_case` of Keras' `naming.py`.
  static func snakeCase(_ name: String) -> String {
    let word = name.filter { $0 == "_" || $0.isLetter || $0.isNumber }
    let words = word.replacing(/(.)([A-Z][a-z]+)/) { "\($0.1)_\($0.2)" }
    return words.replacing(/([a-z])([A-Z])/) { "\($0.1)_\($0.2)" }.lowercased()
  }
}
