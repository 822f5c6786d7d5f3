import Platform

/// What can be wrong with a device that computes in the processor's place.
public enum DeviceFault: Equatable, Sendable {
  /// Its driver is not there, or is older than what is asked of it.
  case noDriver(device: String, PlatformError)
  /// The driver's own version is too old for the kernels; versions as `13.0`.
  case oldDriver(device: String, found: String, needed: String)
  /// There is a driver, and no device that it shows; `visible`: the variable that hides some, as it is set.
  case noDevice(device: String, visible: String?)
  /// `cuda:3` where there are fewer.
  case noSuchDevice(String, count: Int, visible: String?)
  /// A number was expected behind the colon.
  case badName(String)
  /// The device is of a generation that the kernels are not made for.
  case unsupported(device: String, name: String, capability: String)
  /// A call of the driver failed. `operation`: what it was for, with its shapes; empty where that says no more than the call.
  case call(String, device: String, code: Int, error: String, operation: String)
  /// There is not the memory that a session needs. `fitting`: the largest batch that there would be memory for, 0 for none.
  case outOfMemory(device: String, wanted: Int, free: Int, total: Int, batch: Int, fitting: Int)
  /// The device computes this, but not that.
  case cannot(device: String, what: String, instead: String)

  private static func gigabytes(_ bytes: Int) -> String {
    let tenths = (bytes + 50_000_000) / 100_000_000
    return tenths == 0 ? "\((bytes + 999_999) / 1_000_000) MB" : "\(tenths / 10).\(tenths % 10) GB"
  }

  private static func hidden(by visible: String?) -> String {
    visible.map { " (CUDA_VISIBLE_DEVICES is “\($0.printable)”)" } ?? ""
  }

  var diagnosis: Diagnosis {
    switch self {
    case .noDriver(let device, let error):
      Diagnosis(
        id: "device.no-driver", exit: .unavailable,
        message: "device “\(device.printable)” needs NVIDIA's driver: \(error.diagnosis.message)",
        hint:
          "install the driver (nothing else of CUDA is needed), or name its library with CHEXNET_CUDA=/path/libcuda.so.1; --device cpu does without"
      )
    case .oldDriver(let device, let found, let needed):
      Diagnosis(
        id: "device.old-driver", exit: .unavailable,
        message:
          "device “\(device.printable)”: the driver speaks CUDA \(found), and the kernels are made for \(needed) or newer",
        hint: "update NVIDIA's driver (branch 580 is CUDA 13.0), or use --device cpu")
    case .noDevice(let device, let visible):
      Diagnosis(
        id: "device.none", exit: .unavailable,
        message:
          "device “\(device.printable)”: NVIDIA's driver is there, but it shows no GPU\(Self.hidden(by: visible))",
        hint: visible == nil
          ? "see what nvidia-smi says; in a container the GPUs must be passed in (--gpus all, --nv); or use --device cpu"
          : "unset CUDA_VISIBLE_DEVICES, or name a GPU that nvidia-smi lists; or use --device cpu")
    case .noSuchDevice(let device, let count, let visible):
      Diagnosis(
        id: "device.no-such", exit: .unavailable,
        message: "device “\(device.printable)” is not there: the driver shows \(count) GPU\(count == 1 ? "" : "s"), "
          + "from cuda:0 to cuda:\(count - 1)\(Self.hidden(by: visible))",
        hint: "use --device cuda:0")
    case .badName(let name):
      Diagnosis(
        id: "device.name", exit: .usage,
        message: "“\(name.printable)” names no GPU: expected cuda, or cuda: and the GPU's number from 0",
        hint: "use --device cuda:0")
    case .unsupported(let device, let name, let capability):
      Diagnosis(
        id: "device.unsupported", exit: .unavailable,
        message:
          "device “\(device.printable)” is a \(name.printable) of compute capability \(capability); the kernels need 8.0 (A100) or newer",
        hint: "use --device cpu")
    case .call(let call, let device, let code, let error, let operation):
      Diagnosis(
        id: "device.failed", exit: .unavailable,
        message: "\(call) failed on \(device.printable) with \(error.printable) (\(code))"
          + (operation.isEmpty ? "" : ", at \(operation)"),
        hint:
          "see dmesg for the driver's Xid messages and nvidia-smi for the GPU's state; chexnet doctor --device cuda tries each kernel; --device cpu does without"
      )
    case .outOfMemory(let device, let wanted, let free, let total, let batch, let fitting):
      Diagnosis(
        id: "device.memory", exit: .outOfMemory,
        message:
          "\(device.printable) has too little memory for a batch of \(batch): \(Self.gigabytes(wanted)) are needed, "
          + "\(Self.gigabytes(free)) of \(Self.gigabytes(total)) are free",
        hint: fitting > 0
          ? "--batch-size \(fitting) would fit"
          : "no batch would fit: see with nvidia-smi who holds the memory, or use another GPU (--device cuda:1)")
    case .cannot(let device, let what, let instead):
      Diagnosis(
        id: "device.cannot", exit: .unavailable, message: "device “\(device.printable)” cannot \(what)", hint: instead)
    }
  }
}
