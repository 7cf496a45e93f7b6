//! Where in an HTML document a place of a template is.

/// The place, as far as it says what may stand there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Context {
    pub(super) state: State,
    pub(super) delimiter: Delimiter,
    pub(super) url_part: UrlPart,
    pub(super) js: JsContext,
    /// Open braces in each `${` of the template literals around the place.
    pub(super) js_braces: Vec<i32>,
    pub(super) attribute: Attribute,
    pub(super) element: Element,
    /// What is wrong, in the state Error.
    pub(super) error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    #[default]
    Text,
    Tag,
    AttrName,
    AfterName,
    BeforeValue,
    HtmlCmt,
    RcData,
    Attr,
    Url,
    Srcset,
    Js,
    JsDqStr,
    JsSqStr,
    JsTmplLit,
    JsRegexp,
    JsBlockCmt,
    JsLineCmt,
    JsHtmlOpenCmt,
    JsHtmlCloseCmt,
    Css,
    CssDqStr,
    CssSqStr,
    CssDqUrl,
    CssSqUrl,
    CssUrl,
    CssBlockCmt,
    CssLineCmt,
    Error,
    MetaContent,
    MetaContentUrl,
    /// After a break or continue.
    Dead,
}

/// What ends an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Delimiter {
    #[default]
    None,
    DoubleQuote,
    SingleQuote,
    SpaceOrTagEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum UrlPart {
    #[default]
    None,
    PreQuery,
    QueryOrFragment,
    Unknown,
}

/// What a slash is in a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum JsContext {
    #[default]
    Regexp,
    DivOp,
    Unknown,
}

/// Elements whose content is no HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Element {
    #[default]
    None,
    Script,
    Style,
    Textarea,
    Title,
    Meta,
}

/// What an attribute's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Attribute {
    #[default]
    None,
    Script,
    ScriptType,
    Style,
    Url,
    Srcset,
    MetaContent,
}

impl Attribute {
    pub(super) const fn start(self) -> State {
        match self {
            Self::None | Self::ScriptType => State::Attr,
            Self::Script => State::Js,
            Self::Style => State::Css,
            Self::Url => State::Url,
            Self::Srcset => State::Srcset,
            Self::MetaContent => State::MetaContent,
        }
    }
}

impl State {
    pub(super) const fn is_comment(self) -> bool {
        matches!(
            self,
            Self::HtmlCmt
                | Self::JsBlockCmt
                | Self::JsLineCmt
                | Self::JsHtmlOpenCmt
                | Self::JsHtmlCloseCmt
                | Self::CssBlockCmt
                | Self::CssLineCmt
        )
    }

    pub(super) const fn is_in_tag(self) -> bool {
        matches!(
            self,
            Self::Tag | Self::AttrName | Self::AfterName | Self::BeforeValue | Self::Attr
        )
    }

    pub(super) const fn is_script_literal(self) -> bool {
        matches!(
            self,
            Self::JsDqStr | Self::JsSqStr | Self::JsTmplLit | Self::JsRegexp
        )
    }
}

impl Context {
    pub(super) fn error(what: String) -> Self {
        Self {
            state: State::Error,
            error: Some(what),
            ..Self::default()
        }
    }

    /// The same place once something that is no text follows.
    pub(super) fn nudged(mut self) -> Self {
        match self.state {
            State::Tag => self.state = State::AttrName,
            State::BeforeValue => {
                self.state = self.attribute.start();
                self.delimiter = Delimiter::SpaceOrTagEnd;
                self.attribute = Attribute::None;
            }
            State::AfterName => {
                self.state = State::AttrName;
                self.attribute = Attribute::None;
            }
            _ => {}
        }
        self
    }

    /// A template's name as it is called in this place.
    pub(super) fn mangled(&self, name: &str) -> String {
        if self.state == State::Text {
            return name.to_owned();
        }
        format!(
            "{name}$htmltemplate_{:?}_{:?}_{:?}_{:?}_{:?}_{:?}_{:?}",
            self.state,
            self.delimiter,
            self.url_part,
            self.js,
            self.js_braces,
            self.attribute,
            self.element
        )
    }
}
