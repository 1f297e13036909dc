//! `#[compiled_once]`: methods that are generic over an element type, compiled in the crate that defines them.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Error, FnArg, GenericParam, Generics, ImplItem, ImplItemFn, ItemImpl, Lifetime, Pat, PatType, Receiver,
    ReceiverKind, Result, ReturnType, Signature, Type, TypeImplTrait, TypeParamBound, parse_quote,
};

/// How many arguments a method may have, its receiver included.
const MOST: usize = 8;

pub fn expand(input: ItemImpl) -> Result<TokenStream> {
    let element = Element::of(&input.generics)?;
    let mut block = input.clone();
    let mut bodies = Vec::new();
    for item in &mut block.items {
        if let ImplItem::Fn(method) = item
            && !is_left_alone(method)
        {
            let of_trait = input.trait_.is_some();
            let (forward, body) = split(method, &element, &input.self_ty, of_trait)?;
            *method = forward;
            bodies.extend(body);
        }
    }
    block.items.extend(bodies);
    Ok(block.into_token_stream())
}

/// The element type of an impl block, and by what it is bounded.
struct Element {
    name: Ident,
    bound: Ident,
}

impl Element {
    fn of(generics: &Generics) -> Result<Self> {
        let types: Vec<_> = generics.type_params().collect();
        let [only] = types[..] else {
            return Err(Error::new_spanned(generics, "compiled_once wants one type parameter: the element type"));
        };
        let bound = only.bounds.iter().find_map(|bound| match bound {
            TypeParamBound::Trait(bound) => Some(bound.path.segments.last()?.ident.clone()),
            _ => None,
        });
        match bound {
            Some(bound) if ["Float", "Num", "Element"].iter().any(|known| bound == known) => {
                Ok(Self { name: only.ident.clone(), bound })
            }
            _ => Err(Error::new_spanned(only, "compiled_once wants the element type bounded by Float, Num or Element")),
        }
    }

    /// `tokens` with another type in the element type's place.
    fn replaced(&self, tokens: TokenStream, by: &TokenStream) -> TokenStream {
        let one = |token| match token {
            TokenTree::Ident(ident) if ident == self.name => by.clone(),
            TokenTree::Group(group) => {
                let mut new = Group::new(group.delimiter(), self.replaced(group.stream(), by));
                new.set_span(group.span());
                TokenTree::Group(new).into()
            }
            other => other.into(),
        };
        tokens.into_iter().flat_map(one).collect::<TokenStream>()
    }
}

/// Small methods, which a caller inlines, and those that are generic over more than the element type stay as they are.
fn is_left_alone(method: &ImplItemFn) -> bool {
    let sig = &method.sig;
    let says = |name: &str| method.attrs.iter().any(|attr| attr.path().is_ident(name));
    let is_generic =
        sig.generics.params.iter().any(|p| !matches!(p, GenericParam::Lifetime(_))) || sig.generics.where_clause.is_some();
    let borrows = matches!(&sig.output, ReturnType::Type(_, ty) if Borrows::found(ty));
    says("inline") || sig.constness.is_some() || is_generic || borrows || sig.inputs.iter().any(is_open)
}

/// Whether an argument is of a type that the caller chooses, but for those of which [`closed`] knows the choice.
fn is_open(arg: &FnArg) -> bool {
    match arg {
        FnArg::Typed(PatType { ty, .. }) => match &**ty {
            Type::ImplTrait(open) => closed(open).is_none(),
            other => other.to_token_stream().into_iter().any(|token| matches!(token, TokenTree::Ident(i) if i == "impl")),
        },
        FnArg::Receiver(_) => false,
    }
}

/// Makes the expression that turns an argument into its closed type.
type Convert = fn(&Ident) -> TokenStream;

/// For an argument of one of the traits by which axes, shapes and ranges are given: a type that holds them all, and how to make it.
fn closed(open: &TypeImplTrait) -> Option<(Type, Convert)> {
    let TypeParamBound::Trait(bound) = open.bounds.first()? else { return None };
    let last = bound.path.segments.last()?;
    Some(match last.ident.to_string().as_str() {
        "Axis" => (parse_quote!(::gradus_tensor::shape::AnyAxis), |a| quote!(::gradus_tensor::shape::Axis::any(#a))),
        "Axes" => (parse_quote!(::gradus_tensor::shape::AnyAxes), |a| quote!(::gradus_tensor::shape::Axes::any(&#a))),
        "Dims" => (parse_quote!(::gradus_tensor::shape::AnyDims), |a| quote!(::gradus_tensor::shape::Dims::any(&#a))),
        "RangeBounds" => (
            parse_quote!((::std::ops::Bound<usize>, ::std::ops::Bound<usize>)),
            |a| quote!((::std::ops::RangeBounds::start_bound(&#a).cloned(), ::std::ops::RangeBounds::end_bound(&#a).cloned())),
        ),
        "Into" => match &last.arguments {
            syn::PathArguments::AngleBracketed(of) => match of.args.first()? {
                syn::GenericArgument::Type(into) => (into.clone(), |a| quote!(::std::convert::Into::into(#a))),
                _ => return None,
            },
            _ => return None,
        },
        _ => return None,
    })
}

/// The method that stays, which hands its arguments on, and the one with the body that is compiled once: beside it, or, as a trait has
/// room for its own methods only, a function within it.
fn split(method: &ImplItemFn, element: &Element, this: &Type, of_trait: bool) -> Result<(ImplItemFn, Option<ImplItem>)> {
    let sig = &method.sig;
    if sig.inputs.len() > MOST {
        return Err(Error::new_spanned(&sig.inputs, format!("compiled_once takes at most {MOST} arguments")));
    }
    let name = format_ident!("__{}", sig.ident);
    let (mut types, mut given, mut outer, mut inner) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (i, arg) in sig.inputs.iter().enumerate() {
        let fresh = format_ident!("a{i}");
        match arg {
            FnArg::Receiver(receiver) => {
                let mut plain = receiver.clone();
                plain.mutability = None;
                outer.push(FnArg::Receiver(plain));
                inner.push(arg.clone());
                types.push(type_of(receiver));
                given.push(receiver.self_token.to_token_stream());
            }
            FnArg::Typed(typed) => {
                let fresh = name_of(&typed.pat).unwrap_or(fresh);
                let (ty, convert) = match &*typed.ty {
                    Type::ImplTrait(open) => {
                        let (ty, convert) = closed(open).expect("looked at by is_open");
                        (ty, convert(&fresh))
                    }
                    ty => (ty.clone(), quote!(#fresh)),
                };
                outer.push(FnArg::Typed(PatType { pat: Box::new(parse_quote!(#fresh)), ..typed.clone() }));
                inner.push(FnArg::Typed(PatType { ty: Box::new(ty.clone()), ..typed.clone() }));
                types.push(ty);
                given.push(convert);
            }
        }
    }
    let output: Type = match &sig.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    let mut once = instances(&name, element, this, &types, &output, method, of_trait);
    let body = body(method, &name, inner);
    let body = if of_trait {
        let body = inner_function(body, element, this);
        once.extend(body.into_token_stream());
        None
    } else {
        Some(ImplItem::Fn(body))
    };
    Ok((forward(method, element, outer, &given, &once), body))
}

/// The type of `self`.
fn type_of(receiver: &Receiver) -> Type {
    match &receiver.kind {
        ReceiverKind::Reference(_, lifetime, mutability) => parse_quote!(& #lifetime #mutability Self),
        ReceiverKind::Typed(_, ty) => (**ty).clone(),
        _ => parse_quote!(Self),
    }
}

/// A method of a trait as a function.
fn inner_function(mut method: ImplItemFn, element: &Element, this: &Type) -> ImplItemFn {
    let by = Element { name: format_ident!("self"), bound: element.bound.clone() };
    method.block = syn::parse2(by.replaced(method.block.to_token_stream(), &quote!(__self))).expect("a block as before");
    for arg in &mut method.sig.inputs {
        if let FnArg::Receiver(receiver) = arg {
            let mutability = receiver.mutability;
            let ty = without_self(type_of(receiver).to_token_stream(), this);
            *arg = parse_quote!(#mutability __self: #ty);
        }
    }
    let (ty, bound) = (&element.name, &element.bound);
    method.sig.generics.params.push(parse_quote!(#ty: ::gradus_tensor::#bound));
    let (sig, block) = (&method.sig, &method.block);
    let sig: Signature = syn::parse2(without_self(sig.to_token_stream(), this)).expect("a signature as before");
    let block = syn::parse2(without_self(block.to_token_stream(), this)).expect("a block as before");
    // The trait says what the signature is, used or not.
    method.attrs.push(parse_quote!(#[allow(clippy::extra_unused_type_parameters, clippy::ptr_arg)]));
    ImplItemFn { sig, block, vis: syn::Visibility::Inherited, ..method }
}

fn without_self(tokens: TokenStream, this: &Type) -> TokenStream {
    let this = match this {
        Type::Path(_) => this.to_token_stream(),
        other => quote!((#other)),
    };
    Element { name: format_ident!("Self"), bound: format_ident!("Float") }.replaced(tokens, &this)
}

fn name_of(pat: &Pat) -> Option<Ident> {
    match pat {
        Pat::Ident(pat) if pat.subpat.is_none() => Some(pat.ident.clone()),
        _ => None,
    }
}

fn forward(method: &ImplItemFn, element: &Element, outer: Vec<FnArg>, given: &[TokenStream], once: &TokenStream) -> ImplItemFn {
    let mut forward = method.clone();
    forward.sig.inputs = outer.into_iter().collect();
    forward.attrs.push(parse_quote!(#[inline]));
    let (ty, bound) = (&element.name, &element.bound);
    let padding = (given.len()..MOST).map(|_| quote!(()));
    forward.block = parse_quote!({
        #once
        <#ty as ::gradus_tensor::#bound>::once::<Once>(#(#given,)* #(#padding),*)
    });
    forward
}

/// What the method did, under a hidden name.
fn body(method: &ImplItemFn, name: &Ident, inner: Vec<FnArg>) -> ImplItemFn {
    let kept = ["track_caller", "cfg", "allow", "expect"];
    let attrs: Vec<&Attribute> = method.attrs.iter().filter(|attr| kept.iter().any(|name| attr.path().is_ident(name))).collect();
    let sig = Signature { ident: name.clone(), inputs: inner.into_iter().collect(), ..method.sig.clone() };
    let block = &method.block;
    parse_quote! { #(#attrs)* #[doc(hidden)] #sig #block }
}

/// The type `Once`, which has the function for each element type: as none of them is generic, they are compiled here.
fn instances(
    name: &Ident,
    element: &Element,
    this: &Type,
    types: &[Type],
    output: &Type,
    method: &ImplItemFn,
    of_trait: bool,
) -> TokenStream {
    let functions = format_ident!("{}Fn", element.bound);
    let (own, bound) = (&element.name, &element.bound);
    let written = |ty: &Type| -> TokenStream {
        let mut ty = ty.clone();
        Written { this }.visit_type_mut(&mut ty);
        ty.to_token_stream()
    };
    let letters: Vec<Ident> = (0..MOST).map(|i| format_ident!("A{i}")).collect();
    let arguments: Vec<TokenStream> = letters
        .iter()
        .enumerate()
        .map(|(i, letter)| {
            let ty = types.get(i).map_or(quote!(()), written);
            quote!(type #letter<'a, 'b: 'a, #own: ::gradus_tensor::#bound> = #ty;)
        })
        .collect();
    let output = written(output);
    let tracked: Vec<&Attribute> = method.attrs.iter().filter(|attr| attr.path().is_ident("track_caller")).collect();
    let names: Vec<Ident> = (0..MOST).map(|i| format_ident!("a{i}")).collect();
    let used = &names[..types.len()];
    let call = |ty: &TokenStream| {
        let this = element.replaced(this.to_token_stream(), ty);
        if of_trait { quote!(#name::<#ty>(#(#used),*)) } else { quote!(<#this>::#name(#(#used),*)) }
    };
    let one = |float: &str| {
        let (f, ty) = (format_ident!("{float}"), format_ident!("{float}").to_token_stream());
        let call = call(&ty);
        quote! {
            #(#tracked)*
            #[inline(never)]
            fn #f<'a, 'b: 'a>(#(#names: Self::#letters<'a, 'b, #ty>),*) -> Self::Out<#ty> { #call }
        }
    };
    let mut instances: Vec<TokenStream> = ["f32", "f64"].map(one).into();
    if element.bound != "Float" {
        let call = call(&quote!(#own));
        instances.push(quote! {
            #(#tracked)*
            fn other<'a, 'b: 'a, #own: ::gradus_tensor::#bound>(#(#names: Self::#letters<'a, 'b, #own>),*) -> Self::Out<#own> {
                #call
            }
        });
    }
    quote! {
        struct Once;
        impl ::gradus_tensor::compiled_once::#functions for Once {
            #(#arguments)*
            type Out<#own: ::gradus_tensor::#bound> = #output;
            #(#instances)*
        }
    }
}

/// Writes out what a signature may leave out: `Self`, and lifetimes.
struct Written<'a> {
    this: &'a Type,
}

impl VisitMut for Written<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        match ty {
            Type::Path(path) if path.path.is_ident("Self") => {
                *ty = self.this.clone();
                self.visit_type_mut(ty);
            }
            Type::FnPtr(_) => {}
            Type::Reference(reference) => {
                if reference.lifetime.as_ref().is_none_or(|lifetime| lifetime.ident != "static") {
                    reference.lifetime = Some(parse_quote!('a));
                }
                self.visit_type_mut(&mut reference.elem);
            }
            other => visit_mut::visit_type_mut(self, other),
        }
    }

    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut syn::ParenthesizedGenericArguments) {}

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident != "static" {
            *lifetime = parse_quote!('b);
        }
    }
}

/// Whether a type has a reference in it that is not `'static`, or a lifetime.
struct Borrows(bool);

impl Borrows {
    fn found(ty: &Type) -> bool {
        let mut look = Self(false);
        look.visit_type_mut(&mut ty.clone());
        look.0
    }
}

impl VisitMut for Borrows {
    fn visit_type_reference_mut(&mut self, reference: &mut syn::TypeReference) {
        self.0 |= reference.lifetime.as_ref().is_none_or(|lifetime| lifetime.ident != "static");
        visit_mut::visit_type_reference_mut(self, reference);
    }
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        self.0 |= lifetime.ident != "static";
    }
    fn visit_type_impl_trait_mut(&mut self, _: &mut TypeImplTrait) {
        self.0 = true;
    }
}
