import CCUDAKernels
import Engine
import Platform

/// What the few instructions that the kernels are made of do on a device, compared with what the PTX ISA says of them. The emulator that
/// the kernels are tested in believes the same: where a card does otherwise, this shows before a wrong score does.
struct CUDAPrimitives: ~Copyable {
  /// An instruction, and how the device's results differ from the definition; empty where they do not.
  typealias Finding = (name: String, failures: [String])

  private let device: CUDADevice
  private let stream: CUDAStream
  private var random = CounterRandom(seed: 11, purpose: .augmentation, sample: 0)

  /// The findings on `device`, one an instruction.
  static func findings(on device: CUDADevice) throws(BackendError) -> [Finding] {
    var primitives = try CUDAPrimitives(device)
    var findings: [Finding] = [
      ("ldmatrix", try primitives.matrix(isTransposed: false)),
      ("ldmatrix.trans", try primitives.matrix(isTransposed: true)),
      ("mma.m16n8k16.bf16", try primitives.multiply()),
      ("cp.async", try primitives.copy()),
      ("cvt.bf16x2", try primitives.pack()),
      ("shfl.bfly", try primitives.shuffle()),
    ]
    if device.kernels[warpgroup] != nil {
      findings.append(("wgmma.m64k16.bf16", try primitives.multiplyByWarpgroup()))
    }
    if device.kernels[bulk] != nil { findings.append(("cp.async.bulk.tensor", try primitives.copyInBulk())) }
    return findings
  }

  /// Of the kernels that are for Hopper alone, and from Hopper on.
  private static let (warpgroup, registers) = ("primitive_warpgroup_90a", "primitive_warpgroup_registers_90a")
  private static let bulk = "primitive_bulk_90"

  private init(_ device: CUDADevice) throws(BackendError) {
    let stream = try CUDAStream(device)
    self.device = device
    self.stream = stream
  }

  private mutating func words(_ count: Int, below bound: Double = 4_294_967_296) -> [UInt32] {
    (0..<count).map { _ in UInt32(random.uniform(0, bound)) }
  }

  /// The first few differences.
  private static func differences<Value, Expected>(
    _ found: [Value], _ expected: [Expected], isEqual: (Value, Expected) -> Bool
  ) -> [String] {
    guard found.count == expected.count else { return ["\(found.count) values, expected \(expected.count)"] }
    let places = found.indices.filter { !isEqual(found[$0], expected[$0]) }
    return places.prefix(3).map { "value \($0) of \(found.count) is \(found[$0]), expected \(expected[$0])" }
  }

  // MARK: Instructions

  /// PTX ISA, ldmatrix: lane 8m + i points to row i of matrix m; lane l receives of it elements 2(l mod 4) and the next of row l/4, or of the
  /// transposed.
  private mutating func matrix(isTransposed: Bool) throws(BackendError) -> [String] {
    let rows = words(64 * 4)
    let order = words(32, below: 64).map { Int32($0) }
    let found: [UInt32] = try run("primitive_matrix", results: 128, rows, order) { out, given in
      primitive_matrix_parameters(
        rows: given[0], points_to: given[1], out: out, transposed: isTransposed ? 1 : 0, unused: 0)
    }
    func element(_ row: Int, _ column: Int) -> UInt32 {
      let word = rows[Int(order[row]) * 4 + column / 2]
      return column % 2 == 0 ? word & 0xffff : word >> 16
    }
    let expected = (0..<32).flatMap { lane in
      (0..<4).map { matrix in
        let (group, pair) = (lane / 4, lane % 4 * 2)
        return isTransposed
          ? element(8 * matrix + pair, group) | element(8 * matrix + pair + 1, group) << 16
          : element(8 * matrix + group, pair) | element(8 * matrix + group, pair + 1) << 16
      }
    }
    return Self.differences(found, expected, isEqual: ==)
  }

  /// PTX ISA, mma.m16n8k16: with g = lane/4 and t = lane mod 4, A's registers are (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8), each with
  /// the next column; B's (2t, g), (2t + 8, g), each with the next row; C's (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
  private mutating func multiply() throws(BackendError) -> [String] {
    let cases = 8
    // Halves of a word that are small integers in the first cases, whose sums are exact in any order; then numbers of all sizes.
    func values(_ count: Int, _ index: Int, _ random: inout CounterRandom) -> [Float] {
      (0..<count).map { _ in
        index < 3
          ? Float(Int(random.uniform(-8, 9)))
          : HalfPair.rounded(Float(random.normal()) * (index < 6 ? 1 : Float(random.uniform(0, 1000))))
      }
    }
    var (a, b, c) = ([Float](), [Float](), [Float]())
    for index in 0..<cases {
      a += values(256, index, &random)
      b += values(128, index, &random)
      c += values(128, index, &random)
    }
    var (aWords, bWords, cWords) = ([UInt32](), [UInt32](), [Float]())
    for index in 0..<cases {
      for lane in 0..<32 {
        let (group, pair) = (lane / 4, lane % 4 * 2)
        for (row, column) in [(group, pair), (group + 8, pair), (group, pair + 8), (group + 8, pair + 8)] {
          let first = index * 256 + row * 16 + column
          aWords.append(HalfPair.word(a[first], a[first + 1]))
        }
        for row in [pair, pair + 8] {
          let first = index * 128 + row * 8 + group
          bWords.append(HalfPair.word(b[first], b[first + 8]))
        }
        for row in [group, group + 8] { cWords += [0, 1].map { c[index * 128 + row * 8 + pair + $0] } }
      }
    }
    let found: [Float] = try run("primitive_multiply", blocks: cases, results: cases * 128, aWords, bWords, cWords) {
      out, given in primitive_multiply_parameters(a: given[0], b: given[1], c: given[2], d: out)
    }
    var expected: [(sum: Double, size: Double)] = []
    for index in 0..<cases {
      for lane in 0..<32 {
        for (row, column) in [(0, 0), (0, 1), (8, 0), (8, 1)] {
          let (row, column) = (lane / 4 + row, lane % 4 * 2 + column)
          var (sum, size) = (Double(c[index * 128 + row * 8 + column]), 0.0)
          size = abs(sum)
          for k in 0..<16 {
            let product = Double(a[index * 256 + row * 16 + k]) * Double(b[index * 128 + k * 8 + column])
            sum += product
            size += abs(product)
          }
          expected.append((sum, size))
        }
      }
    }
    // 17 terms are added in some order, each sum rounded to nearest or towards zero: at most 2⁻²³ of the sizes each.
    return Self.differences(found, expected) { found, expected in
      abs(Double(found) - expected.sum) <= 17 * expected.size * 0x1p-23
    }
  }

  /// PTX ISA, wgmma.mma_async: dy · weightᵀ, where the depth of both lies along their rows, and xᵀ · dy, where it lies down their columns; of 128
  /// columns and of the last 64. And x · weight of 128 columns and of 32, where x is in registers, and the depth of weight lies down its columns.
  private mutating func multiplyByWarpgroup() throws(BackendError) -> [String] {
    let (rows, columns, narrow) = (64, 128, 32)
    func values(_ count: Int, _ random: inout CounterRandom) -> [Float] {
      (0..<count).map { _ in HalfPair.rounded(Float(random.normal())) }
    }
    let dy = values(rows * columns, &random)
    let weight = values(columns * columns, &random)
    let x = values(rows * rows, &random)
    func words(_ values: [Float]) -> [UInt32] {
      stride(from: 0, to: values.count, by: 2).map { HalfPair.word(values[$0], values[$0 + 1]) }
    }
    func found(_ kernel: String, _ count: Int) throws(BackendError) -> [Float] {
      try run(kernel, results: count, words(dy), words(weight), words(x)) { out, given in
        primitive_warpgroup_parameters(dy: given[0], weight: given[1], x: given[2], out: out)
      }
    }
    let sums =
      try found(Self.warpgroup, 3 * rows * columns) + found(Self.registers, rows * columns + rows * narrow)

    typealias Sum = (sum: Double, size: Double)
    /// Steps are from a row or column to the next, and from one of the depth to the next.
    func product(
      _ left: [Float], _ leftSteps: (row: Int, depth: Int), _ right: [Float], _ rightSteps: (column: Int, depth: Int),
      depth: Int, columns: Int = 128
    ) -> [Sum] {
      (0..<rows * columns).map { index in
        let (row, column) = (index / columns * leftSteps.row, index % columns * rightSteps.column)
        var (sum, size) = (0.0, 0.0)
        for k in 0..<depth {
          let product = Double(left[row + k * leftSteps.depth]) * Double(right[column + k * rightSteps.depth])
          sum += product
          size += abs(product)
        }
        return (sum, size)
      }
    }
    let data = product(dy, (columns, 1), weight, (columns, 1), depth: columns)
    let weights = product(x, (1, rows), dy, (1, columns), depth: rows)
    func ofRegisters(_ width: Int) -> [Sum] {
      product(x, (rows, 1), weight, (1, columns), depth: rows, columns: width)
    }
    func last(_ sums: [Sum]) -> [Sum] { sums.indices.filter { $0 % columns >= columns / 2 }.map { sums[$0] } }
    // As above, of at most 129 terms.
    let expected = data + weights + last(data) + last(weights) + ofRegisters(columns) + ofRegisters(narrow)
    return Self.differences(sums, expected) { found, expected in
      abs(Double(found) - expected.sum) <= 129 * expected.size * 0x1p-23
    }
  }

  /// Four groups of copies of 16 bytes and an empty one; each wait lets no more be under way than it says.
  private mutating func copy() throws(BackendError) -> [String] {
    let (blocks, threads) = (4, 128)
    let source = words(512 * 4)
    let from = words(blocks * 4 * threads, below: 512).map { Int32($0) }
    let valid = words(blocks * 4 * threads, below: 4).map { Int32($0 == 0 ? 0 : 1) }
    let found: [UInt32] = try run("primitive_copy", blocks: blocks, results: from.count * 4, source, from, valid) {
      out, given in primitive_copy_parameters(source: given[0], from: given[1], valid: given[2], out: out)
    }
    let expected = from.indices.flatMap { place in
      let other = place - place % threads + (place % threads + 33) % threads
      return (0..<4).map { valid[other] == 0 ? 0 : source[Int(from[other]) * 4 + $0] }
    }
    return Self.differences(found, expected, isEqual: ==)
  }

  /// PTX ISA, cp.async.bulk.tensor: boxes with 64 and 32 columns of a matrix that they go over on all sides, in shared memory with their chunks permuted as
  /// the swizzles of 128 and 64 bytes do it, and zeros outside of it; and the first of them stored, as far as the matrix goes.
  private mutating func copyInBulk() throws(BackendError) -> [String] {
    let (rows, columns, stride) = (100, 96, 104)
    let (boxRows, wide, narrow) = (64, 64, 32)
    // Those that lie in the matrix have each of its elements once.
    let boxes: [(row: Int, column: Int)] = [(-28, 0), (-28, 64), (36, 0), (36, 64), (100, 0), (-28, 128), (-92, -64)]
    let source = words(rows * stride / 2).flatMap { [UInt16(truncatingIfNeeded: $0), UInt16($0 >> 16)] }
    let (wideCount, narrowCount) = (boxes.count * boxRows * wide, boxes.count * boxRows * narrow)
    func bytes(_ count: Int) -> DeviceAddress { DeviceAddress(count * MemoryLayout<UInt16>.size) }
    func tensor(_ address: DeviceAddress, stride: Int, columns boxColumns: Int) -> CUDATensor {
      CUDATensor(address, rows: rows, columns: columns, stride: stride, box: (boxRows, boxColumns))
    }
    let at = boxes.flatMap { [Int32($0.row), Int32($0.column)] }
    let found: [UInt16] = try run(
      Self.bulk, blocks: boxes.count, results: wideCount + narrowCount + rows * columns, source, at,
      tensors: { out, given in
        [
          tensor(given[0], stride: stride, columns: wide), tensor(given[0], stride: stride, columns: narrow),
          tensor(out + bytes(wideCount + narrowCount), stride: columns, columns: wide),
        ]
      }
    ) { out, given in
      var parameters = primitive_bulk_parameters()
      parameters.at = given[1]
      (parameters.wide_out, parameters.narrow_out) = (out, out + bytes(wideCount))
      return parameters
    }
    func element(_ row: Int, _ column: Int) -> UInt16 {
      (0..<rows).contains(row) && (0..<columns).contains(column) ? source[row * stride + column] : 0
    }
    func read(_ boxColumns: Int) -> [UInt16] {
      boxes.flatMap { box in
        (0..<boxRows * boxColumns).map { element(box.row + $0 / boxColumns, box.column + $0 % boxColumns) }
      }
    }
    let stored = (0..<rows * columns).map { element($0 / columns, $0 % columns) ^ 1 }
    return Self.differences(found, read(wide) + read(narrow) + stored, isEqual: ==)
  }

  /// PTX ISA, cvt.rn{.relu}.bf16x2.f32: to nearest, ties to even; not a number is 0x7fff; with relu what is below zero is zero.
  private mutating func pack() throws(BackendError) -> [String] {
    let edges: [Float] = [
      0, -0.0, 1, -1, .infinity, -.infinity, .nan, 1.00390625, 1.01171875, -1.00390625, .leastNonzeroMagnitude,
      -.leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 3.3895e38,
    ]
    let values = edges + words(1008).map { Float(bitPattern: $0) }
    let pairs = values.count / 2
    let found: [UInt32] = try run("primitive_pack", blocks: 2, results: pairs * 4, values) { out, given in
      primitive_pack_parameters(
        in: given[0], out: out, halves: out + DeviceAddress(pairs * 8), pairs: Int32(pairs), unused: 0)
    }
    func bits(_ value: Float, isRectified: Bool) -> UInt32 {
      if value.isNaN { return 0x7fff }
      return isRectified && value <= 0 ? 0 : HalfPair.bits(value)
    }
    var expected: [UInt32] = []
    for pair in 0..<pairs {
      for isRectified in [false, true] {
        let (low, high) = (values[2 * pair], values[2 * pair + 1])
        expected.append(bits(low, isRectified: isRectified) | bits(high, isRectified: isRectified) << 16)
      }
    }
    let halves = values.map { bits($0, isRectified: false) << 16 }
    return Self.differences(found, expected + halves, isEqual: ==)
  }

  private mutating func shuffle() throws(BackendError) -> [String] {
    let values = (0..<32).map { _ in Float(random.normal()) }
    let found: [Float] = try run("primitive_shuffle", results: 1024, values) { out, given in
      primitive_shuffle_parameters(in: given[0], out: out)
    }
    let expected = (0..<32).flatMap { mask in (0..<32).map { values[$0 ^ mask] } }
    return Self.differences(found, expected, isEqual: ==)
  }

  // MARK: Running

  /// Launches the kernel on copies of `given` on the device; what it has written, so many `results`.
  private func run<Result: BitwiseCopyable, each Given: BitwiseCopyable, Parameters: BitwiseCopyable>(
    _ name: String, blocks: Int = 1, results: Int, _ given: repeat [each Given],
    tensors: (DeviceAddress, [DeviceAddress]) -> [CUDATensor] = { _, _ in [] },
    parameters: (DeviceAddress, [DeviceAddress]) -> Parameters
  ) throws(BackendError) -> [Result] {
    var bytes: [UInt8] = []
    var places: [Int] = []
    func append<Value: BitwiseCopyable>(_ values: [Value]) {
      bytes += [UInt8](repeating: 0, count: (256 - bytes.count % 256) % 256)
      places.append(bytes.count)
      values.withUnsafeBytes { bytes += $0 }
    }
    repeat append(each given)
    let size = results * MemoryLayout<Result>.stride
    guard let input = try CUDAMemory.allocate(bytes.count, on: device),
      let output = try CUDAMemory.allocate(size, on: device)
    else {
      let (free, total) = try device.memory()
      throw .device(
        .outOfMemory(
          device: device.title, wanted: bytes.count + size, free: free, total: total, batch: 1, fitting: 0))
    }
    let staged = try PinnedMemory(max(bytes.count, size), for: device)
    bytes.withUnsafeBytes {
      UnsafeMutableRawBufferPointer(start: staged.pointer, count: staged.bytes).copyMemory(from: $0)
    }
    try stream.copy(bytes.count, from: staged.pointer, to: input.address)
    let kernel = device.kernel(name)
    let addresses = places.map { input.address + DeviceAddress($0) }
    try stream.launch(
      CUDALaunch(
        kernel, name, grid: (blocks, 1, 1), tensors: tensors(output.address, addresses),
        parameters(output.address, addresses)))
    try stream.wait(name)
    try stream.copy(size, from: output.address, to: staged.pointer)
    try stream.wait(name)
    return Array(
      UnsafeBufferPointer(start: staged.pointer.bindMemory(to: Result.self, capacity: results), count: results))
  }
}

/// Two bf16 in a word, the first in the lower half.
private enum HalfPair {
  /// To nearest, ties to even; of a finite number or an infinity.
  static func bits(_ value: Float) -> UInt32 {
    let bits = value.bitPattern
    if value.isInfinite { return bits >> 16 }
    return (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16
  }

  static func rounded(_ value: Float) -> Float { Float(bitPattern: bits(value) << 16) }

  static func word(_ low: Float, _ high: Float) -> UInt32 { bits(low) | bits(high) << 16 }
}
