import Tensors
import WeightFormats

/// Tensors that another program recorded in a fixture.
public struct RecordedTensors {
  private let tensors: NamedTensors
  private let path: String

  /// Reads `fixtures/<relative>`.
  public init(_ relative: String) throws {
    path = relative
    tensors = try WeightFile.open(path: fixture(relative)).tensors()
  }

  public var names: [String] { tensors.names }

  /// The values of a tensor that must be there.
  public func values(_ name: String) throws -> [Double] {
    guard let tensor = tensors[name] else { throw MissingTensor(name: name, file: path) }
    return tensor.doubles()
  }

  public func shape(_ name: String) throws -> [Int] {
    guard let tensor = tensors[name] else { throw MissingTensor(name: name, file: path) }
    return tensor.shape.extents
  }

  struct MissingTensor: Error {
    let name: String
    let file: String
  }
}

/// The largest difference of two vectors, relative to the largest magnitude of `expected` (and to 1 where that is 0).
///
/// Norm-wise, because elements of one tensor share the rounding of the sums that they are made of: an element that happens to
/// cancel to 10⁻¹² cannot be right to nine digits of itself.
public func relativeDifference(_ found: [Double], _ expected: [Double]) -> Double {
  guard found.count == expected.count else { return .infinity }
  let scale = expected.reduce(0) { max($0, abs($1)) }
  let difference = zip(found, expected).reduce(0) { $1.0.isNaN ? .infinity : max($0, abs($1.0 - $1.1)) }
  return difference / (scale == 0 ? 1 : scale)
}
