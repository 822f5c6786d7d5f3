import ChestXray

/// A heatmap's colours over its radiograph.
enum HeatmapOverlay {
  /// The share of colour where the map is largest. It goes down with the map, so that what is cold is seen as it was.
  private static let opacity = 0.65

  /// The radiograph in gray, under the colours of `heat`, which has its sides and 8 bits; at the right border a bar of the colours, the largest
  /// value at the top.
  static func draw(_ heat: HeatmapImage, over radiograph: Radiograph) -> Radiograph {
    precondition(heat.depth == 8 && heat.width == radiograph.width && heat.height == radiograph.height)
    // Of 255.
    let weights = (0..<256).map { Int((opacity * Double($0)).rounded()) }
    let colors = (0..<256).map { ColorMap.color(UInt8($0)) }
    let gray = radiograph.gray.pixels
    var pixels = [UInt8](unsafeUninitializedCapacity: 3 * gray.count) { buffer, initialized in
      for (index, (below, value)) in zip(gray, heat.samples).enumerated() {
        let (weight, color) = (weights[Int(value)], colors[Int(value)])
        func mixed(_ above: UInt8) -> UInt8 {
          UInt8((Int(below) * (255 - weight) + Int(above) * weight + 127) / 255)
        }
        buffer[3 * index] = mixed(color.red)
        buffer[3 * index + 1] = mixed(color.green)
        buffer[3 * index + 2] = mixed(color.blue)
      }
      initialized = 3 * gray.count
    }
    drawBar(on: &pixels, width: radiograph.width, height: radiograph.height)
    return Radiograph(width: radiograph.width, height: radiograph.height, channels: 3, pixels: pixels)
  }

  /// A fortieth of the width and a third of the height, with a white frame; none on a picture that is too small for one.
  private static func drawBar(on pixels: inout [UInt8], width: Int, height: Int) {
    let (thickness, length, margin) = (width / 40, height / 3, width / 50)
    guard thickness >= 4, length >= 16 else { return }
    let (left, top) = (width - margin - thickness, (height - length) / 2)
    for y in 0..<length {
      for x in 0..<thickness {
        let isFrame = x == 0 || y == 0 || x == thickness - 1 || y == length - 1
        let color = ColorMap.color(UInt8(255 - 255 * y / (length - 1)))
        let place = 3 * ((top + y) * width + left + x)
        pixels[place] = isFrame ? 255 : color.red
        pixels[place + 1] = isFrame ? 255 : color.green
        pixels[place + 2] = isFrame ? 255 : color.blue
      }
    }
  }
}
