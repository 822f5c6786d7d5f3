import Engine

/// Where a network's values lie on a Gaudi: those that are trained in two parts, the features' and the classifier's, which a step may train alone, and the
/// running statistics.
///
/// Convolution weights `[K, C, R, S]` lie as `[R, S, C, K]` there, as Synapse wants them; all else lies as it is. Every tensor begins at a multiple of
/// 64 values, and both trained parts are multiples of 64 · 256: what is between holds zeros, which no optimizer moves.
struct GaudiLayout {
  enum Part: CaseIterable, Hashable { case features, classifier, running }

  /// Where a tensor of the flat buffer is.
  struct Place {
    let part: Part
    /// In values.
    let start: Int
    /// Of the flat buffer.
    let range: Range<Int>
    /// K, C, R, S of a convolution's weights; nil for what lies as it is.
    let convolution: (outputs: Int, inputs: Int, rows: Int, columns: Int)?
  }

  /// A multiple of what a row of an optimizer's tensors has.
  static let row = 64
  /// How many rows are left of a sum of squares.
  static let rowsOfSums = 256

  let flat: ParameterLayout
  let places: [Place]
  /// Values of each part.
  let counts: [Part: Int]
  /// By the beginning of the tensor in the flat buffer.
  private let byStart: [Int: Place]

  init(_ flat: ParameterLayout) {
    func up(_ count: Int, to unit: Int) -> Int { (count + unit - 1) / unit * unit }
    var counts: [Part: Int] = [.features: 0, .classifier: 0, .running: 0]
    let classifier = flat.classifier
    var places: [Place] = []
    for parameter in flat.parameters {
      let part: Part =
        !parameter.isTrained ? .running : classifier.contains(parameter.range.lowerBound) ? .classifier : .features
      let start = up(counts[part, default: 0], to: Self.row)
      let shape = parameter.shape.extents
      places.append(
        Place(
          part: part, start: start, range: parameter.range,
          convolution: shape.count == 4 ? (shape[0], shape[1], shape[2], shape[3]) : nil))
      counts[part] = start + parameter.range.count
    }
    self.flat = flat
    self.places = places
    self.counts = Dictionary(
      uniqueKeysWithValues: Part.allCases.map {
        ($0, up(counts[$0, default: 0], to: $0 == .running ? Self.row : Self.row * Self.rowsOfSums))
      })
    byStart = Dictionary(uniqueKeysWithValues: places.map { ($0.range.lowerBound, $0) })
  }

  func count(_ part: Part) -> Int { counts[part, default: 0] }

  /// Of the tensor that begins at `range`.
  subscript(range: Range<Int>) -> Place {
    guard let place = byStart[range.lowerBound] else { preconditionFailure("no tensor begins at \(range)") }
    return place
  }

  /// Writes the tensors of `part` among the flat `values` to `target`, and zeros between them.
  func pack(_ values: [Float], _ part: Part, into target: UnsafeMutableBufferPointer<Float>) {
    target.update(repeating: 0)
    for place in places where place.part == part {
      place.forEachElement { flat, there in target[place.start + there] = values[flat] }
    }
  }

  /// Reads the tensors of `part` from `source` into the flat `values`.
  func unpack(_ source: UnsafeBufferPointer<Float>, _ part: Part, into values: inout [Float]) {
    for place in places where place.part == part {
      place.forEachElement { flat, there in values[flat] = source[place.start + there] }
    }
  }
}

extension GaudiLayout.Place {
  /// Tells where each value of the flat buffer is behind the tensor's beginning.
  fileprivate func forEachElement(_ body: (_ flat: Int, _ there: Int) -> Void) {
    guard let shape = convolution else {
      for index in 0..<range.count { body(range.lowerBound + index, index) }
      return
    }
    var flat = range.lowerBound
    for output in 0..<shape.outputs {
      for input in 0..<shape.inputs {
        for tap in 0..<shape.rows * shape.columns {
          body(flat, (tap * shape.inputs + input) * shape.outputs + output)
          flat += 1
        }
      }
    }
  }
}
