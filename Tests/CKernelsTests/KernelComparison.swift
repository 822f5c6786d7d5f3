import CKernels
import Platform
import Testing

/// The kernels of one level in one precision.
struct KernelTable: CustomTestStringConvertible {
  let level: ck_level
  let precision: ck_precision

  var kernels: ck_kernels { ck_kernels_of(level, precision) }
  var testDescription: String { "\(String(cString: ck_level_name(level))), \(precision == CK_BF16 ? "bf16" : "fp32")" }

  static let levels = (0..<UInt32(CK_LEVELS)).map { ck_level(rawValue: $0) }

  /// All that this processor can run, the reference's first.
  static let all = levels.filter { ck_can_run($0) != 0 }.flatMap { level in
    [CK_FP32, CK_BF16].map { KernelTable(level: level, precision: $0) }
  }
}

/// Arrays of A, as a kernel takes them.
struct Activations {
  let precision: ck_precision
  fileprivate let starts: [UnsafeMutableRawPointer]

  fileprivate static func size(of precision: ck_precision) -> Int { precision == CK_BF16 ? 2 : 4 }

  subscript(array: Int, at index: Int = 0) -> UnsafeMutableRawPointer {
    starts[array] + index * Self.size(of: precision)
  }

  func value(_ array: Int, _ index: Int) -> Float {
    let element = self[array, at: index]
    if precision == CK_FP32 { return element.load(as: Float.self) }
    return Float(bitPattern: UInt32(element.load(as: UInt16.self)) << 16)
  }

  func values(_ array: Int, _ count: Int) -> [Float] { (0..<count).map { value(array, $0) } }

  /// `value` is one that A has.
  func set(_ array: Int, _ index: Int, to value: Float) {
    let element = self[array, at: index]
    if precision == CK_FP32 { return element.storeBytes(of: value, as: Float.self) }
    element.storeBytes(of: UInt16(value.bitPattern >> 16), as: UInt16.self)
  }
}

/// The value of A that is nearest, the even one of two. By arithmetic, where the kernels do it by bits: a unit in the last place
/// of bf16, which has 16 bits less, is 2¹⁶ of float's, and dividing and multiplying by it is exact.
func rounded(_ x: Float, to precision: ck_precision) -> Float {
  guard precision == CK_BF16, x.isFinite else { return x }
  let unit = x.ulp * 65536
  return (x / unit).rounded(.toNearestOrEven) * unit
}

/// Arrays of random numbers between guards, for one call of a kernel: some of A, some of float.
struct GuardedArrays {
  /// Odd, so that an array begins where an element of its may, and not where all vectors do.
  private static let guardCount = 41
  /// One that bf16 has.
  private static let guardValue: Float = 0x1.9p110
  private let precision: ck_precision
  /// With their guards, a bf16 as the float that it is the upper half of.
  private var activations: [[Float]] = []
  private var floats: [[Float]] = []

  /// An array a size; values are normal, times `magnitude`.
  init(activations: [Int], floats: [Int], precision: ck_precision, seed: UInt64, magnitude: Float = 1) {
    self.precision = precision
    for (index, size) in (activations + floats).enumerated() {
      var random = CounterRandom(seed: seed, purpose: .weightInitialization, sample: index)
      let guards = [Float](repeating: Self.guardValue, count: Self.guardCount)
      let values = (0..<size).map { _ in Float(random.normal()) * magnitude }
      if index < activations.count {
        self.activations.append(guards + values.map { rounded($0, to: precision) } + guards)
      } else {
        self.floats.append(guards + values + guards)
      }
    }
  }

  var guardsAreIntact: Bool {
    (activations + floats).allSatisfy { array in
      (array.prefix(Self.guardCount) + array.suffix(Self.guardCount)).allSatisfy { $0 == Self.guardValue }
    }
  }

  mutating func withPointers(_ body: (Activations, [UnsafeMutablePointer<Float>]) -> Void) {
    // The arrays are not resized while the pointers live.
    let size = Activations.size(of: precision)
    let starts = activations.map { UnsafeMutableRawPointer.allocate(byteCount: $0.count * size, alignment: 4) }
    let whole = Activations(precision: precision, starts: starts)
    for (n, array) in activations.enumerated() { for i in array.indices { whole.set(n, i, to: array[i]) } }
    let pointers = floats.map { array in
      let copy = UnsafeMutablePointer<Float>.allocate(capacity: array.count)
      copy.initialize(from: array, count: array.count)
      return copy
    }
    body(
      Activations(precision: precision, starts: starts.map { $0 + Self.guardCount * size }),
      pointers.map { $0 + Self.guardCount })
    for (n, start) in starts.enumerated() {
      activations[n] = activations[n].indices.map { whole.value(n, $0) }
      start.deallocate()
    }
    for (n, pointer) in pointers.enumerated() {
      floats[n] = Array(UnsafeBufferPointer(start: pointer, count: floats[n].count))
      pointer.deallocate()
    }
  }

  /// The largest difference of any element from what it should be, as a multiple of what is allowed: `tolerance` of its array's
  /// largest magnitude and, where it was rounded to bf16, one unit in the last place of 8 bits, at most 2⁻⁷ of it.
  func distance(from expected: GuardedArrays, tolerance: Float) -> Float {
    let pairs = zip(activations + floats, expected.activations + expected.floats)
    return pairs.enumerated().reduce(0) { worst, item in
      let mine = item.element.0.dropFirst(Self.guardCount).dropLast(Self.guardCount)
      let theirs = item.element.1.dropFirst(Self.guardCount).dropLast(Self.guardCount)
      let allowed = theirs.reduce(0) { max($0, abs($1)) } * tolerance
      let unit: Float = precision == CK_BF16 && item.offset < activations.count ? 0x1p-7 : 0
      return zip(mine, theirs).reduce(worst) { worst, pair in
        if pair.0 == pair.1 || (pair.0.isNaN && pair.1.isNaN) { return worst }
        let distance = abs(pair.0 - pair.1) / (allowed + unit * abs(pair.1))
        return distance.isNaN ? .infinity : max(worst, distance)
      }
    }
  }
}

/// Calls `body` with the reference's kernels and with every other level's that this processor has, and expects the same of both,
/// in each precision.
///
/// Sums of n random terms differ by the order of their rounding: √n · 2⁻²⁴ of the largest, for n up to 1200 2·10⁻⁶; 10⁻⁵ leaves
/// a factor of five. A wrong index is off by 1. It is the same in bf16, whose products are exact in float; an instruction that
/// adds two of them at once only has another order. Two sums that differ by so little are rounded to the same value of bf16, or
/// to neighbours where the middle lies between them: one unit in the last place.
///
/// A gate could turn on such a difference, and then be off by 1: where scale · x + shift is within 2⁻²⁴ of zero, once in some 10⁷
/// elements. So could the choice among a pool's values, once in some 10⁵: where one rounds to the maximum or to its neighbour.
/// The numbers are always the same, and none of them does.
func expectSameOfEveryLevel(
  activations: [Int] = [], floats: [Int] = [], seed: UInt64, magnitude: Float = 1, tolerance: Float = 1e-5,
  precisions: [ck_precision] = [CK_FP32, CK_BF16], _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: (ck_kernels, Activations, [UnsafeMutablePointer<Float>]) -> Void
) {
  for precision in precisions {
    let start = GuardedArrays(
      activations: activations, floats: floats, precision: precision, seed: seed, magnitude: magnitude)
    var expected = start
    for table in KernelTable.all where table.precision == precision {
      var found = start
      found.withPointers { body(table.kernels, $0, $1) }
      let name = "\(what), \(table.testDescription), seed \(seed)"
      #expect(found.guardsAreIntact, "\(name)", sourceLocation: sourceLocation)
      if table.level == CK_REFERENCE { expected = found }
      let distance = found.distance(from: expected, tolerance: tolerance)
      #expect(distance <= 1, "\(name): \(distance) times what is allowed", sourceLocation: sourceLocation)
    }
  }
}
