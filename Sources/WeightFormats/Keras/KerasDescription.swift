import Platform

/// What the attributes of an HDF5 file say about its datasets: what Keras writes there to find its weights again.
struct KerasDescription: Equatable {
  /// A layer of Keras 1 and 2, and its weights: datasets under `<prefix><layer>/<weight>`.
  struct Layer: Equatable {
    var name: String
    var weights: [String]
  }

  /// A group of Keras 3 whose datasets `0`, `1`, … are the variables of one object, and the object's name where it is written.
  struct Variables: Equatable {
    var group: String
    var name: String?
  }

  enum Layout: Equatable {
    /// Keras 1 and 2: the attribute `layer_names`, and each layer's `weight_names`.
    case layers([Layer])
    /// Keras 3: groups named `vars`.
    case variables([Variables])
  }

  /// `model_weights/` in a file of Keras 1 or 2 with a whole model.
  var prefix: String
  var layout: Layout
  /// `keras_version` and `backend`, where the file says them.
  var metadata = JSONObject()
  /// Where in the file the numbers of each dataset stand that is not empty, in the header's order; nil where they have to be asked for.
  var addresses: [Int?] = []

  init(prefix: String, layout: Layout) {
    self.prefix = prefix
    self.layout = layout
  }

  // MARK: - As text, between the processes

  /// Nil where the text does not have the form that `text` gives.
  init?(_ json: JSONValue) {
    guard let prefix = json["prefix"]?.string, let metadata = json["metadata"]?.object,
      metadata.members.allSatisfy({ $0.value.string != nil })
    else { return nil }
    if let rows = json["layers"]?.array {
      let layers = rows.compactMap { row -> Layer? in
        guard let name = row[0]?.string, let weights = row[1]?.array else { return nil }
        return Layer(name: name, weights: weights.compactMap(\.string))
      }
      guard layers.count == rows.count else { return nil }
      layout = .layers(layers)
    } else if let rows = json["variables"]?.array {
      let groups = rows.compactMap { row in row[0]?.string.map { Variables(group: $0, name: row[1]?.string) } }
      guard groups.count == rows.count else { return nil }
      layout = .variables(groups)
    } else {
      return nil
    }
    self.prefix = prefix
    self.metadata = metadata
    addresses = (json["addresses"]?.array ?? []).map(\.integer)
  }

  var json: JSONValue {
    var object: JSONObject = [
      "prefix": .string(prefix), "metadata": .object(metadata), "addresses": .array(addresses.map { JSONValue($0) }),
    ]
    switch layout {
    case .layers(let layers):
      object["layers"] = .array(layers.map { [.string($0.name), JSONValue($0.weights)] })
    case .variables(let groups):
      object["variables"] = .array(groups.map { [.string($0.group), JSONValue($0.name)] })
    }
    return .object(object)
  }
}
