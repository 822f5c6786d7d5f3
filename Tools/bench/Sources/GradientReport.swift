import Engine
import Evaluation
import Platform

/// What a precision costs in the gradients, layer by layer, against the textbook in Double.
struct GradientReport {
  let title: String
  let errors: [Conformance.GradientError]

  init(_ settings: Settings, count: Int) throws {
    let backend = try backend(
      named: settings.device, pool: settings.pool, precision: settings.precision, level: settings.level)
    let network = Conformance.trainingCase(try settings.network(), size: settings.imageSize, count: count)
    let weights = Weights(initializing: network.architecture, seed: 1)
    let expected = try Conformance.Expectation(network, weights: weights, pool: settings.pool)
    errors = try Conformance.gradientErrors(of: backend, from: expected)
    title =
      "\(settings.architecture), \(count) images of \(settings.imageSize)×\(settings.imageSize), \(settings.precision.rawValue): "
      + "error of each gradient relative to its own size, in per cent"
  }

  /// The whole gradient's error.
  var whole: Double { errors.reduce(0) { $0 + $1.whole * $1.whole }.squareRoot() }

  /// A line for each layer:
  ///
  ///     layer                     convolution or linear          γ          β
  ///     features.conv0                            12.31          –          –
  ///     features.norm0                                –      11.02      10.87
  var text: String {
    var layers: [(name: String, kind: [String: Double])] = []
    for error in errors {
      let parts = error.parameter.split(separator: ".")
      let layer = parts.dropLast().joined(separator: ".")
      if layers.last?.name != layer { layers.append((layer, [:])) }
      layers[layers.count - 1].kind[String(parts.last ?? "")] = error.own
    }
    func cell(_ value: Double?) -> String {
      let text = value.map { decimals(100 * $0, 2) } ?? "–"
      return String(repeating: " ", count: max(0, 10 - text.count)) + text
    }
    let width = layers.map(\.name.count).max() ?? 0
    let lines = layers.map { layer in
      layer.name.padding(toLength: width, withPad: " ", startingAt: 0)
        + cell(layer.kind["weight"]) + cell(layer.kind["bias"])
    }
    let head = "layer".padding(toLength: width, withPad: " ", startingAt: 0) + "    weight      bias"
    let own = errors.map(\.own).sorted()
    let summary =
      "whole gradient \(decimals(100 * whole, 2)) %; the parameters' median \(decimals(100 * own[own.count / 2], 2)) %, "
      + "largest \(decimals(100 * (own.last ?? 0), 2)) %"
    return ([title, "", head] + lines + ["", summary]).joined(separator: "\n")
  }

  var json: JSONValue {
    [
      "title": .string(title), "whole": JSONValue(whole),
      "gradients": .array(
        errors.map { ["parameter": .string($0.parameter), "own": JSONValue($0.own), "whole": JSONValue($0.whole)] }),
    ]
  }
}
