import CKernels
import Testing

@Suite struct PackingTests {
  @Test(arguments: [1, 3, 4, 7, 30]) func `runs of pixels are normalised and resolved as the reference does`(
    pixels: Int
  ) {
    let size = pixels * 32
    expectSameOfEveryLevel(
      activations: [size, size, size, size, size], floats: [32, 32, size, size], seed: 1, "\(pixels) pixels"
    ) { kernels, a, f in
      kernels.packing.normalize(a[0], a[1], f[0], f[1], pixels)
      let line = ck_line(constant: f[0], slope: f[1])
      withUnsafePointer(to: line) {
        kernels.packing.resolve(a[2], a[3], a[1], $0, pixels)
        kernels.packing.resolve_float(a[4], f[2], a[1], $0, pixels)
      }
      kernels.packing.widen(f[3], a[1], size)
    }
  }

  @Test(arguments: [(1, 2), (2, 3), (3, 8), (2, 9)])
  func `pools of odd and even widths are the reference's`(rows: Int, width: Int) {
    let (out, map) = (rows * (width / 2) * 32, 2 * rows * width * 32)
    expectSameOfEveryLevel(
      activations: [out, map], floats: [map, out, 32, 32, 32, 32, 32], seed: 3, "\(rows) rows of \(width)"
    ) { kernels, a, f in
      kernels.packing.normalize_pooled(a[0], a[1], f[2], f[3], rows, width / 2, width)
      let gate = ck_gate(x: a[1], mean: f[4], scale: f[2], shift: f[3], sum: f[5], product: f[6])
      withUnsafePointer(to: gate) { kernels.pooling.average_unpool(f[0], f[1], $0, rows, width / 2, width) }
    }
  }

  @Test(arguments: [(32, 32, 1), (5, 32, 4), (32, 7, 2), (1, 1, 3)])
  func `groups of weight gradients add up as the reference's`(inputs: Int, outputs: Int, groups: Int) {
    let stride = 32 * 32 + 9
    for (inputStride, outputStride) in [(1, inputs + 2), (9, 9 * inputs)] {
      let last = (inputs - 1) * inputStride + (outputs - 1) * outputStride
      expectSameOfEveryLevel(
        activations: [], floats: [last + 1, (groups - 1) * stride + 32 * 32], seed: 6, "\(inputs)×\(outputs)"
      ) { kernels, _, f in
        kernels.packing.unpack_block(f[0], f[1], groups, stride, inputs, outputs, inputStride, outputStride)
      }
    }
  }

  @Test(arguments: KernelTable.all, [(32, 32), (3, 32), (32, 5)])
  func `nine taps stand apart, the kernel turned round where that is wanted`(table: KernelTable, size: (Int, Int)) {
    let (inputs, outputs) = size
    let (inputStride, outputStride) = (9, 9 * inputs)
    for isTurned in [false, true] {
      var arrays = GuardedArrays(
        activations: [], floats: [9 * 1024, 9 * inputs * outputs], precision: table.precision, seed: 7)
      arrays.withPointers { _, f in
        table.kernels.packing.spread_taps(f[0], f[1], inputs, outputs, inputStride, outputStride, isTurned ? 1 : 0)
        var wrong = 0
        for tap in 0..<9 {
          for (i, o) in (0..<1024).map({ ($0 / 32, $0 % 32) }) {
            let source = i * inputStride + o * outputStride + (isTurned ? 8 - tap : tap)
            let weight = i < inputs && o < outputs ? f[1][source] : 0
            if f[0][tap * 1024 + i * 32 + o] != weight { wrong += 1 }
          }
        }
        #expect(wrong == 0, "turned: \(isTurned)")
      }
      #expect(arrays.guardsAreIntact)
    }
  }
}

@Suite struct PoolingTests {
  @Test(arguments: [(1, 1), (2, 2), (3, 5), (6, 7), (5, 8)])
  func `the maximum's pool and gradient are the reference's`(height: Int, width: Int) {
    let (map, pooled) = (height * width * 32, (height + 1) / 2 * ((width + 1) / 2) * 32)
    expectSameOfEveryLevel(
      activations: [map, pooled, pooled, map], floats: [32, 32], seed: 4, "\(height)×\(width)"
    ) { kernels, a, f in
      for row in 0..<(height + 1) / 2 {
        let rows = (2 * row - 1...2 * row + 1).map { $0 < 0 || $0 >= height ? nil : a[0, at: $0 * width * 32] }
        guard let middle = rows[1] else { continue }
        let out = a[1, at: row * ((width + 1) / 2) * 32]
        kernels.pooling.max_pool(out, rows[0], middle, rows[2], f[0], f[1], width)
      }
      kernels.pooling.max_unpool(a[3], a[0], a[1], a[2], f[0], f[1], height, width)
    }
  }

  @Test(arguments: KernelTable.all) func `what is not a number is a pool's largest, wherever it stands`(
    table: KernelTable
  ) {
    for place in 0..<9 {
      var arrays = GuardedArrays(
        activations: [3 * 3 * 32, 2 * 32], floats: [32, 32], precision: table.precision, seed: 8)
      arrays.withPointers { a, f in
        for lane in 0..<32 { (f[0][lane], f[1][lane]) = (1, 0) }
        a.set(0, place * 32 + 5, to: .nan)
        table.kernels.pooling.max_pool(a[1], a[0], a[0, at: 3 * 32], a[0, at: 6 * 32], f[0], f[1], 3)
        // The first window has columns 0 and 1, the second 1 and 2.
        let column = place % 3
        let found = (0..<64).filter { a.value(1, $0).isNaN }
        #expect(found == (column < 2 ? [5] : []) + (column > 0 ? [37] : []), "pixel \(place)")
      }
      #expect(arrays.guardsAreIntact)
    }
  }

  @Test(arguments: [1, 2, 49]) func `the head and the sums are the reference's`(pixels: Int) {
    for floor in [0, -Float.infinity] {
      expectSameOfEveryLevel(
        activations: [pixels * 32, pixels * 32], floats: [32, pixels * 32, 32, 32, 32, 32, 32, 32], seed: 5,
        "\(pixels) pixels, floor \(floor)"
      ) { kernels, a, f in
        kernels.pooling.head_sum(f[0], a[0], f[2], f[3], floor, pixels)
        let gate = ck_gate(x: a[0], mean: f[4], scale: f[2], shift: f[3], sum: f[5], product: f[6])
        withUnsafePointer(to: gate) { kernels.pooling.head_unpool(f[1], f[7], floor, $0, pixels) }
        kernels.pooling.sums(a[0], f[4], f[5], f[6], pixels)
        withUnsafePointer(to: gate) { kernels.pooling.scale_summed(a[1], $0, pixels) }
      }
    }
  }
}

@Suite struct OptimizerTests {
  @Test(arguments: [1, 15, 16, 1000]) func `steps and norms are the reference's`(count: Int) {
    for isFirst: Int32 in [0, 1] {
      expectSameOfEveryLevel(floats: [count, count, count, count], seed: 6, "\(count) elements") { kernels, _, f in
        for index in 0..<count { f[2][index] = abs(f[2][index]) }
        let sgd = ck_sgd_step(
          gradient_scale: 0.5, decay: 0.01, rate: 0.1, momentum: 0.9, nesterov: isFirst, first_step: isFirst)
        withUnsafePointer(to: sgd) { kernels.optimizer.sgd(f[0], f[1], f[3], $0, count) }
        let adam = ck_adam_step(
          gradient_scale: 0.5, decay: 0.01, shrink: 0.999, beta1: 0.9, beta2: 0.999, rest1: 0.1, rest2: 0.001,
          step_size: 0.01, root: 0.5, epsilon: 1e-8)
        withUnsafePointer(to: adam) { kernels.optimizer.adam(f[0], f[1], f[2], f[3], $0, count) }
        f[0][0] = Float(kernels.optimizer.sum_of_squares(f[1], count))
      }
    }
  }
}
