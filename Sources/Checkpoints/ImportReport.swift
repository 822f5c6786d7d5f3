import Engine
import Platform
import Tensors
import WeightFormats

/// What an import did with every tensor of a file.
///
///     imported weights.pt (torch, SHA-256 1f2e…)
///       dialect       torchvision's names of before 0.3 (norm.1)
///       prefix        state_dict. module. densenet121.
///       network       densenet121, 3 channels, epsilon 1e-05, momentum 0.1, final ReLU
///       classes       14: Atelectasis, Cardiomegaly, …
///       preprocessing center-crop 256 → 224
///       tensors       606 used, 121 not used
///         121 × counter of batches, which is not needed
///       weights       SHA-256 09ab…
public struct ImportReport: Equatable, Sendable {
  public enum Use: Equatable, Sendable {
    case parameter(String)
    case notUsed(reason: String)
  }

  public struct Row: Equatable, Sendable {
    public var entry: WeightFile.Entry
    public var use: Use
  }

  public var source: CheckpointMetadata.NamedDigest
  public var format: WeightFile.Format
  /// Whose names the tensors have.
  public var dialect: String
  /// What was taken off the front of the names, piece by piece.
  public var prefix: [String]
  public var metadata: CheckpointMetadata
  public var rows: [Row]
  public var tensorDigest: String

  public var usedCount: Int { rows.count { if case .parameter = $0.use { true } else { false } } }

  /// How many tensors were not used, by reason, in the file's order.
  public var unused: [(reason: String, count: Int)] {
    var counts: [(reason: String, count: Int)] = []
    for row in rows {
      guard case .notUsed(let reason) = row.use else { continue }
      if let index = counts.firstIndex(where: { $0.reason == reason }) {
        counts[index].count += 1
      } else {
        counts.append((reason, 1))
      }
    }
    return counts
  }

  /// For people; ends with a line feed.
  public var text: String {
    let network = metadata.architecture
    let classes = metadata.classes.prefix(4).map(\.printable).joined(separator: ", ")
    var lines = [
      "imported \(source.name.printable) (\(format.rawValue), SHA-256 \(source.sha256))",
      "  dialect       \(dialect)",
      "  prefix        \(prefix.isEmpty ? "none" : prefix.map(\.printable).joined(separator: " "))",
      "  network       \(network.name), \(network.inputChannels) channels, epsilon \(network.batchNormEpsilon), "
        + "momentum \(network.batchNormMomentum), \(network.hasFinalReLU ? "" : "no ")final ReLU",
      "  classes       \(metadata.classes.count): \(classes)\(metadata.classes.count > 4 ? ", …" : "")",
      "  preprocessing \(metadata.preprocessing.summary)",
      "  tensors       \(usedCount) used, \(rows.count - usedCount) not used",
    ]
    lines += unused.map { "    \($0.count) × \($0.reason)" }
    lines += metadata.notes.map { "  note          \($0.printable)" }
    lines.append("  weights       SHA-256 \(tensorDigest)")
    return lines.joined(separator: "\n") + "\n"
  }

  /// For machines.
  public var json: JSONValue {
    let network = metadata.architecture
    return [
      "source": source.json, "format": .string(format.rawValue), "dialect": .string(dialect),
      "prefix": JSONValue(prefix), "architecture": .string(network.name),
      "input_channels": JSONValue(network.inputChannels), "batch_norm_epsilon": JSONValue(network.batchNormEpsilon),
      "batch_norm_momentum": JSONValue(network.batchNormMomentum), "final_relu": JSONValue(network.hasFinalReLU),
      "classes": JSONValue(metadata.classes), "preprocessing": metadata.preprocessing.json,
      "tensors_sha256": .string(tensorDigest), "notes": JSONValue(metadata.notes),
      "tensors": .array(rows.map(\.json)),
    ]
  }
}

extension ImportReport.Row {
  fileprivate var json: JSONValue {
    var object = entry.json
    switch use {
    case .parameter(let name): object["parameter"] = .string(name)
    case .notUsed(let reason): object["not_used"] = .string(reason)
    }
    return .object(object)
  }
}

extension WeightFile.Entry {
  var json: JSONObject {
    ["name": .string(name), "type": .string(elementType.rawValue), "shape": JSONValue(shape.extents)]
  }
}

extension Preprocessing {
  /// `center-crop 256 → 224`, `resize 224` or `square 224, as torchxrayvision`
  fileprivate var summary: String {
    switch geometry {
    case .centerCrop(let resize, let crop): "center-crop \(resize) → \(crop)"
    case .resize(let size): "resize \(size)"
    case .squareResize(let size): "square \(size), as torchxrayvision"
    }
  }
}

/// What a weight file holds, whether or not it can be imported.
///
///     weights.pt (torch): 606 tensors
///       epoch = 3
///       state_dict.module.densenet121.features.conv0.weight  F32  [64, 3, 7, 7]
public struct WeightListing {
  public let path: String
  public let format: WeightFile.Format
  public let metadata: [(key: String, value: String)]
  public let entries: [WeightFile.Entry]

  /// For people; ends with a line feed.
  public var text: String {
    var lines = ["\(path.printable) (\(format.rawValue)): \(entries.count) tensors"]
    lines += metadata.map { "  \($0.key.printable) = \($0.value.printable)" }
    lines += entries.map { "  \($0.name.printable)  \($0.elementType.rawValue)  \($0.shape)" }
    return lines.joined(separator: "\n") + "\n"
  }

  /// For machines.
  public var json: JSONValue {
    [
      "path": .string(path), "format": .string(format.rawValue),
      "metadata": .object(JSONObject(metadata.map { ($0.key, .string($0.value)) })),
      "tensors": .array(entries.map { .object($0.json) }),
    ]
  }
}
