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
  /// More processes on a host than GPUs.
  case fewDevices(device: String, count: Int, ranks: Int, visible: String?)
  /// Two processes have one GPU.
  case sharedDevice(ranks: (Int, Int), host: String, address: String)
  case noNCCL(device: String, PlatformError)
  /// Versions as `2.28.3`.
  case oldNCCL(found: String, needed: String)
  case ncclVersions(String, String)
  /// A call of NCCL's failed. `isRemote`: another process is to blame.
  case nccl(String, device: String, code: Int, error: String, place: String, isRemote: Bool)
  /// NCCL is not done after so long.
  case ncclSilent(String, device: String, place: String, seconds: Int)
  /// As one process of several tells it.
  case ofRank(Diagnosis)
  /// The device computes this, but not that.
  case cannot(device: String, what: String, instead: String)
  /// Of a Gaudi; what stands above is of NVIDIA's or of any.
  case gaudi(GaudiFault)

  public static func == (left: DeviceFault, right: DeviceFault) -> Bool { left.diagnosis == right.diagnosis }

  private static func gigabytes(_ bytes: Int) -> String {
    let tenths = (bytes + 50_000_000) / 100_000_000
    return tenths < 10 ? "\((bytes + 999_999) / 1_000_000) MB" : "\(tenths / 10).\(tenths % 10) GB"
  }

  /// `cuda:0 (NVIDIA H200) has too little memory for a batch of 512: 90.1 GB are needed, 70.0 GB of 80.0 GB are free`
  static func tooLittleMemory(_ device: String, wanted: Int, free: Int, total: Int, batch: Int) -> String {
    "\(device.printable) has too little memory for a batch of \(batch): \(gigabytes(wanted)) are needed, "
      + "\(gigabytes(free)) of \(gigabytes(total)) are free"
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
        message: Self.tooLittleMemory(device, wanted: wanted, free: free, total: total, batch: batch),
        hint: fitting > 0
          ? "--batch-size \(fitting) would fit"
          : "no batch would fit: see with nvidia-smi who holds the memory, or use another GPU (--device cuda:1)")
    case .fewDevices(let device, let count, let ranks, let visible):
      Diagnosis(
        id: "device.few", exit: .unavailable,
        message:
          "device “\(device.printable)”: \(ranks) ranks on this machine, and the driver shows \(count) GPUs\(Self.hidden(by: visible))",
        hint: "start as many ranks as there are GPUs: --ranks \(count)")
    case .sharedDevice(let ranks, let host, let address):
      Diagnosis(
        id: "device.shared", exit: .unavailable,
        message: "ranks \(ranks.0) and \(ranks.1) on \(host.printable) have the same GPU (\(address))",
        hint: "use --device cuda, which gives every rank of a machine its own, and as many ranks as there are GPUs")
    case .noNCCL(let device, let error):
      Diagnosis(
        id: "device.no-nccl", exit: .unavailable,
        message: "\(device.printable): ranks with GPUs need NCCL: \(error.diagnosis.message)",
        hint:
          "install it (pip install nvidia-nccl-cu13, or NVIDIA's package libnccl2), or name it with CHEXNET_NCCL=/path/libnccl.so.2"
      )
    case .oldNCCL(let found, let needed):
      Diagnosis(
        id: "device.old-nccl", exit: .unavailable, message: "NCCL is \(found), and \(needed) or newer is needed",
        hint: "name a newer one with CHEXNET_NCCL=/path/libnccl.so.2")
    case .ncclVersions(let one, let other):
      Diagnosis(
        id: "device.nccl-versions", exit: .unavailable,
        message: "the ranks have found different versions of NCCL: \(one) and \(other)",
        hint: "name the same one for all with CHEXNET_NCCL=/path/libnccl.so.2")
    case .nccl(let call, let device, let code, let error, let place, let isRemote):
      Diagnosis(
        id: isRemote ? "ranks.nccl" : "device.nccl", exit: isRemote ? .rankLost : .unavailable,
        message: "\(call) failed on \(device.printable) with \(error.printable) (\(code)), at \(place.printable)",
        hint: "NCCL_DEBUG=INFO makes NCCL say more")
    case .ncclSilent(let call, let device, let place, let seconds):
      Diagnosis(
        id: "ranks.nccl", exit: .rankLost,
        message: "\(call) on \(device.printable) is not done after \(seconds) s (\(place.printable))",
        hint:
          "see what the other ranks say, and that all machines reach each other; NCCL_DEBUG=INFO makes NCCL say more; --comm-timeout waits longer"
      )
    case .ofRank(let diagnosis): diagnosis
    case .gaudi(let fault): fault.diagnosis
    case .cannot(let device, let what, let instead):
      Diagnosis(
        id: "device.cannot", exit: .unavailable, message: "device “\(device.printable)” cannot \(what)", hint: instead)
    }
  }
}
