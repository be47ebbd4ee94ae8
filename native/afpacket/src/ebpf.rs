//! eBPF: instructions and an assembler with labels.
//!
//! Constants are those of `linux/bpf.h` and `linux/bpf_common.h`.

#[cfg(test)]
pub(crate) mod interpret;
pub(crate) mod translate;

/// One instruction, in the layout of `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u8,
    /// Destination in the low half, source in the high half, on machines of low octet first.
    registers: u8,
    pub(crate) offset: i16,
    pub(crate) constant: i32,
}

/// A register. [`Register::R10`] is the end of the stack and cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
}

/// How many octets are loaded or stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Word = 0x00,
    Half = 0x08,
    Byte = 0x10,
    Double = 0x18,
}

/// Operation codes.
pub(crate) mod code {
    pub(crate) const LOAD: u8 = 0x61;
    pub(crate) const STORE_CONSTANT: u8 = 0x62;
    pub(crate) const STORE: u8 = 0x63;
    /// Adds a whole register to the octets in memory, as one step.
    pub(crate) const ADD_TO_MEMORY: u8 = 0xdb;
    /// Takes the next instruction's constant for the upper half.
    pub(crate) const LOAD_DOUBLE_CONSTANT: u8 = 0x18;
    /// On the lower 32 bits of registers; the upper ones become 0.
    pub(crate) const ALU: u8 = 0x04;
    /// On whole registers.
    pub(crate) const ALU_DOUBLE: u8 = 0x07;
    /// Compares the lower 32 bits.
    pub(crate) const JUMP_WORD: u8 = 0x06;
    /// Compares whole registers.
    pub(crate) const JUMP_DOUBLE: u8 = 0x05;
    /// The operand is a register.
    pub(crate) const REGISTER: u8 = 0x08;
    pub(crate) const JUMP: u8 = 0x05;
    pub(crate) const CALL: u8 = 0x85;
    pub(crate) const EXIT: u8 = 0x95;
    /// Reads the lower bits as a number in network order.
    pub(crate) const FROM_NETWORK_ORDER: u8 = 0xdc;
}

/// Operations of [`code::ALU`] and [`code::ALU_DOUBLE`].
pub(crate) mod alu {
    pub(crate) const ADD: u8 = 0x00;
    pub(crate) const SUBTRACT: u8 = 0x10;
    pub(crate) const MULTIPLY: u8 = 0x20;
    pub(crate) const OR: u8 = 0x40;
    pub(crate) const AND: u8 = 0x50;
    pub(crate) const SHIFT_LEFT: u8 = 0x60;
    pub(crate) const SHIFT_RIGHT: u8 = 0x70;
    pub(crate) const MOVE: u8 = 0xb0;
}

/// Conditions of jumps; comparisons are unsigned.
pub(crate) mod when {
    pub(crate) const EQUAL: u8 = 0x10;
    pub(crate) const ABOVE: u8 = 0x20;
    pub(crate) const AT_LEAST: u8 = 0x30;
    pub(crate) const ANY_BIT: u8 = 0x40;
    pub(crate) const NOT_EQUAL: u8 = 0x50;
    pub(crate) const BELOW: u8 = 0xa0;
    pub(crate) const AT_MOST: u8 = 0xb0;
}

/// Of [`code::ADD_TO_MEMORY`]: the register gets what was there before (`BPF_FETCH`), which orders all
/// loads and stores around it; since Linux 5.12.
const FETCH: i32 = 1;
/// The constant of [`code::LOAD_DOUBLE_CONSTANT`] is a map's descriptor (`BPF_PSEUDO_MAP_FD`).
const MAP_DESCRIPTOR: u8 = 1;
/// The same, and what is loaded is the address of its first value (`BPF_PSEUDO_MAP_VALUE`).
const MAP_VALUE: u8 = 2;

impl Instruction {
    pub(crate) const fn new(code: u8, to: Register, from: Register, offset: i16, k: i32) -> Self {
        let (to, from) = (to as u8, from as u8);
        let registers =
            if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from };
        Self { code, registers, offset, constant: k }
    }

    /// `to` = the octets at `from` + `offset`.
    pub(crate) const fn load(size: Size, to: Register, from: Register, offset: i16) -> Self {
        Self::new(code::LOAD | size as u8, to, from, offset, 0)
    }

    /// The octets at `to` + `offset` = `from`.
    pub(crate) const fn store(size: Size, to: Register, offset: i16, from: Register) -> Self {
        Self::new(code::STORE | size as u8, to, from, offset, 0)
    }

    /// The eight octets at `to` + `offset` += `from`, whatever other processors do meanwhile.
    pub(crate) const fn add_to_memory(to: Register, offset: i16, from: Register) -> Self {
        Self::new(code::ADD_TO_MEMORY, to, from, offset, 0)
    }

    /// The octets at `to` + `offset` = `constant`.
    pub(crate) const fn store_constant(size: Size, to: Register, offset: i16, k: i32) -> Self {
        Self::new(code::STORE_CONSTANT | size as u8, to, Register::R0, offset, k)
    }

    /// `to` = `to` `operation` `constant`, in 32 bits.
    pub(crate) const fn alu(operation: u8, to: Register, constant: i32) -> Self {
        Self::new(code::ALU | operation, to, Register::R0, 0, constant)
    }

    /// `to` = `to` `operation` `from`, in 32 bits.
    pub(crate) const fn alu_register(operation: u8, to: Register, from: Register) -> Self {
        Self::new(code::ALU | code::REGISTER | operation, to, from, 0, 0)
    }

    /// `to` = `constant`.
    pub(crate) const fn set(to: Register, constant: i32) -> Self {
        Self::alu(alu::MOVE, to, constant)
    }

    /// `to` = `from`, whole; what an address needs.
    pub(crate) const fn copy(to: Register, from: Register) -> Self {
        Self::new(code::ALU_DOUBLE | code::REGISTER | alu::MOVE, to, from, 0, 0)
    }

    /// `to` += `constant`, whole; what an address needs.
    pub(crate) const fn advance(to: Register, constant: i32) -> Self {
        Self::new(code::ALU_DOUBLE | alu::ADD, to, Register::R0, 0, constant)
    }

    /// `to` = `to` `operation` `constant`, whole.
    pub(crate) const fn whole(operation: u8, to: Register, constant: i32) -> Self {
        Self::new(code::ALU_DOUBLE | operation, to, Register::R0, 0, constant)
    }

    /// `to` = `to` `operation` `from`, whole.
    pub(crate) const fn whole_register(operation: u8, to: Register, from: Register) -> Self {
        Self::new(code::ALU_DOUBLE | code::REGISTER | operation, to, from, 0, 0)
    }

    /// Calls the kernel's function of that number.
    pub(crate) const fn call(function: i32) -> Self {
        Self::new(code::CALL, Register::R0, Register::R0, 0, function)
    }

    /// Ends the program with R0 for an answer.
    pub(crate) const fn exit() -> Self {
        Self::new(code::EXIT, Register::R0, Register::R0, 0, 0)
    }

    /// The lower 16 bits of `to`, which are in network order, as a number.
    pub(crate) const fn half_from_network_order(to: Register) -> Self {
        Self::new(code::FROM_NETWORK_ORDER, to, Register::R0, 0, 16)
    }

    /// The two instructions that load a constant of eight octets.
    pub(crate) const fn double(to: Register, constant: u64) -> [Self; 2] {
        let [a, b, c, d, e, f, g, h] = constant.to_le_bytes();
        let (low, high) = (i32::from_le_bytes([a, b, c, d]), i32::from_le_bytes([e, f, g, h]));
        [
            Self::new(code::LOAD_DOUBLE_CONSTANT, to, Register::R0, 0, low),
            Self::new(0, Register::R0, Register::R0, 0, high),
        ]
    }

    /// Loads before this come before loads behind it, on machines where that takes an instruction:
    /// one that adds `from` to the eight octets at `to` + `offset` and changes both.
    pub(crate) fn order_loads(to: Register, offset: i16, from: Register) -> Option<Self> {
        let fence = Self::new(code::ADD_TO_MEMORY, to, from, offset, FETCH);
        (!cfg!(any(target_arch = "x86_64", target_arch = "x86"))).then_some(fence)
    }

    /// The two instructions that load the address of the map behind a descriptor.
    pub(crate) const fn map(to: Register, descriptor: i32) -> [Self; 2] {
        Self::address(to, MAP_DESCRIPTOR, descriptor)
    }

    /// The two instructions that load the address of the first value of an array map.
    pub(crate) const fn map_value(to: Register, descriptor: i32) -> [Self; 2] {
        Self::address(to, MAP_VALUE, descriptor)
    }

    const fn address(to: Register, of: u8, descriptor: i32) -> [Self; 2] {
        let mut first = Self::new(code::LOAD_DOUBLE_CONSTANT, to, Register::R0, 0, descriptor);
        first.registers |= if cfg!(target_endian = "little") { of << 4 } else { of };
        [first, Self::new(0, Register::R0, Register::R0, 0, 0)]
    }
}

/// A place in a program under assembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(usize);

/// Writes a program from its beginning; labels may be jumped to before they are placed.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    instructions: Vec<Instruction>,
    /// Where each label was placed.
    places: Vec<usize>,
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// A label to be placed.
    pub(crate) fn label(&mut self) -> Label {
        self.places.push(usize::MAX);
        Label(self.places.len() - 1)
    }

    /// `label` is what is written next.
    pub(crate) fn place(&mut self, label: Label) {
        let here = self.instructions.len();
        if let Some(place) = self.places.get_mut(label.0) {
            *place = here;
        }
    }

    /// Whether a jump leads to `label` so far. The verifier refuses instructions that nothing leads to.
    pub(crate) fn is_reached(&self, label: Label) -> bool {
        self.jumps.iter().any(|(_, to)| *to == label)
    }

    /// Adds instructions.
    pub(crate) fn push(&mut self, instructions: &[Instruction]) {
        self.instructions.extend_from_slice(instructions);
    }

    /// Goes on at `label`.
    pub(crate) fn jump(&mut self, label: Label) {
        self.jump_by(Instruction::new(code::JUMP, Register::R0, Register::R0, 0, 0), label);
    }

    /// Goes on at `label` when `condition` holds for the lower 32 bits of `left` and a constant.
    pub(crate) fn jump_if(&mut self, condition: u8, left: Register, right: i32, label: Label) {
        let jump = Instruction::new(code::JUMP_WORD | condition, left, Register::R0, 0, right);
        self.jump_by(jump, label);
    }

    /// As [`Self::jump_if`], with a register.
    pub(crate) fn jump_if_register(
        &mut self,
        condition: u8,
        left: Register,
        right: Register,
        label: Label,
    ) {
        let code = code::JUMP_WORD | code::REGISTER | condition;
        self.jump_by(Instruction::new(code, left, right, 0, 0), label);
    }

    /// Goes on at `label` when the whole register is 0, which is how the verifier knows an address.
    pub(crate) fn jump_if_nothing(&mut self, left: Register, label: Label) {
        let code = code::JUMP_DOUBLE | when::EQUAL;
        self.jump_by(Instruction::new(code, left, Register::R0, 0, 0), label);
    }

    /// As [`Self::jump_if_register`], with whole registers.
    pub(crate) fn jump_if_whole_register(
        &mut self,
        condition: u8,
        left: Register,
        right: Register,
        label: Label,
    ) {
        let code = code::JUMP_DOUBLE | code::REGISTER | condition;
        self.jump_by(Instruction::new(code, left, right, 0, 0), label);
    }

    fn jump_by(&mut self, jump: Instruction, label: Label) {
        self.jumps.push((self.instructions.len(), label));
        self.instructions.push(jump);
    }

    /// The finished program; `None` when a jump reaches too far or goes nowhere.
    pub(crate) fn finish(mut self) -> Option<Vec<Instruction>> {
        for (from, label) in self.jumps {
            let distance = self.places.get(label.0)?.checked_sub(from + 1)?;
            self.instructions.get_mut(from)?.offset = i16::try_from(distance).ok()?;
        }
        Some(self.instructions)
    }
}
